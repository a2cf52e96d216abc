# `make demo` and `make test` set up what they need, by themselves and once; see scripts/setup.
.PHONY: help setup demo up test lint format types layers docs lock native-test native-sanitize clean
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON ?= python3
STATE := .madang-demo

help: ## show this list
	@sed -nE 's/^([a-z%-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## virtual environment, dependencies, native library
	@$(PYTHON) scripts/setup develop

demo: ## take real data to a served model, checking each step
	@$(PYTHON) scripts/setup run
	@$(BIN)/python scripts/demo

up: ## start the platform on the demo's state; Ctrl-C stops it
	@$(PYTHON) scripts/setup run
	@$(BIN)/madang up --state-dir $(STATE)

test: setup ## the whole test suite, with PostgreSQL where it can be installed
	@$(BIN)/pytest $(PYTEST_ARGS)

lint: setup ## style, formatting, generated code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python scripts/generate_sync_client --check

format: setup ## put code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## mypy
	@$(BIN)/mypy

layers: setup ## which part may import which
	@PYTHONPATH=src $(BIN)/lint-imports --no-cache

native-test: setup ## the native library's own tests
	@$(BIN)/pytest -c native/pyproject.toml native/tests -q

native-sanitize: setup ## the same with memory, undefined-behaviour and thread sanitizers
	@scripts/native-sanitize

docs: setup ## the documentation, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the documentation is in site/index.html"

bench-%: setup ## a benchmark of bench/, e.g. make bench-spine
	@$(BIN)/python bench/$*.py

lock: setup ## pin dependencies anew; scripts/lock --upgrade for newer ones
	@scripts/lock

clean: ## remove what was made, but not .madang-demo
	rm -rf .venv site build dist native/build .mypy_cache .ruff_cache .pytest_cache
