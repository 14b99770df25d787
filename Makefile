# make               make the environment if need be, run the pipeline, say what came out
# make test          make the environment if need be, lint, check types, run all tests
# make environment   make the environment if need be

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
# For the commands that DVC and the tests start themselves.
export PATH := $(BIN):$(PATH)
.PHONY: run test environment
.DEFAULT_GOAL := run

run: environment
	@$(BIN)/dvc repro
	@$(BIN)/facemask summary

test: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -m "slow or not slow" -n 2 --dist loadfile

environment: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
