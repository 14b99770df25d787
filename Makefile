# make        make the environment if need be, run the pipeline, say what came out
# make test   make the environment if need be, lint, check types, run all tests

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
# For the commands that DVC and the tests start themselves.
export PATH := $(BIN):$(PATH)
.PHONY: run test
.DEFAULT_GOAL := run

run: .venv/installed
	@$(BIN)/dvc repro
	@$(BIN)/facemask summary

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -m "slow or not slow" -n 2 --dist loadfile

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
