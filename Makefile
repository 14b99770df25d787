# make        make the environment if need be, run the pipeline, say what came out
# make test   make the environment if need be, lint, check types, run all tests

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
.PHONY: run test
.DEFAULT_GOAL := run

run: .venv/installed
	@dvc repro
	@facemask summary

test: .venv/installed
	ruff check .
	ruff format --check .
	mypy
	pytest -m "slow or not slow"

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
