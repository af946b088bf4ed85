# What a developer or an operator types. Everything works on a machine with Python 3.11 and nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := csms broker datasheet_api file_server simulators
JOBS ?= auto

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

install: $(VENV)/.run  ## make the environment and install what the system needs

dev: $(VENV)/.dev  ## the same, with what the tests and checks need

run: install  ## start everything with simulated stations that charge (Ctrl-C ends it)
	$(BIN)/csms run --demo

format: dev  ## format the code
	$(BIN)/ruff format $(SOURCES) tests
	$(BIN)/ruff check --fix --quiet $(SOURCES) tests

check: dev  ## format, lint, types and import rules, without tests
	$(BIN)/ruff format --check --quiet $(SOURCES) tests
	$(BIN)/ruff check --quiet $(SOURCES) tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

quick: dev  ## the fast tests, on SQLite only
	TEST_DATABASES=sqlite $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow"

test: check  ## everything: checks and all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest -q -n $(JOBS)

migration: dev  ## write the difference between tables and migrations: make migration name="add things"
	$(BIN)/python -m csms.store.migrate "$(name)"

bench: install  ## messages a second against a bare echo server
	$(BIN)/csms bench broker

clean:  ## remove the environment and what tools left behind; keeps var/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.PHONY: help install dev run format check quick test migration bench clean
