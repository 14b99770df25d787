# make               create the environment if needed, run the pipeline, summarise the results
# make test          create the environment if needed, lint, check types, run all tests
# make lint          create the environment if needed, lint, check types
# make environment   create the environment if needed

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
# For the commands that DVC and the tests start themselves.
export PATH := $(BIN):$(PATH)
.PHONY: run test lint environment
.DEFAULT_GOAL := run

run: environment
	@$(BIN)/dvc repro
	@$(BIN)/facemask summary

test: lint
	$(BIN)/pytest -m "not nightly"

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

environment: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
