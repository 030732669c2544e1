# One target, one or two plain commands. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help docs install demo test test-pure test-torch fuzz proof leaks kills soak suites bi check lint types imports bench format clean shots lock sbom

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.compiled ## the virtual environment and the packages; the hot path is compiled (NLSQL_PURE=1: it is not)

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	NLSQL_PURE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --config-settings editable_mode=compat --editable '.[embedded,dev]'
	@touch $@

# A superset of what setup.py compiles: an edit there must never leave an older compiled module in its place.
HOT := nlsql_gateway/figures.py $(foreach room,admission audit policy server sql wire,$(wildcard nlsql_gateway/$(room)/*.py))

$(VENV)/.compiled: $(VENV)/.installed setup.py $(HOT)
	@find . -name '*.so' -not -path './$(VENV)/*' -delete
	@echo "compiling the hot path, about a minute"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

demo: install ## PostgreSQL, Triton, the model and the gateway, and a tour (ONCE=1: exit after the tour)
	@$(BIN)/nlsql-gateway demo $(if $(ONCE),--once)

test: install ## all tests; fetches the model the first time
	$(BIN)/nlsql-gateway model pull
	$(BIN)/python -m pytest

test-pure: install ## the rooms that are compiled, tested as plain Python
	@find . -name '*.so' -not -path './$(VENV)/*' -delete; rm -f $(VENV)/.compiled
	$(BIN)/python -m pytest tests/wire tests/audit tests/admission tests/server tests/sql tests/policy

TORCH := $(HOME)/.cache/nlsql-gateway/torch

$(TORCH)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TORCH)
	NLSQL_PURE=1 $(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --config-settings editable_mode=compat --editable '.[training]'
	$(TORCH)/bin/python -m pip uninstall --quiet --yes nlsql-gateway  # only what it needs: the tests run the checkout
	@touch $@

test-torch: install $(TORCH)/.installed ## training, and the Transformers model in Triton; fetches torch the first time (3 GB, 6 GB on the disk)
	$(BIN)/python -m pytest tests/training/test_rehearsal.py tests/model_repository/test_transformers.py

proof: install ## random queries under random policies, against row security and filtered copies (QUERIES=20000 SEED=1000)
	$(BIN)/python -m tests.proof --queries $(or $(QUERIES),20000) $(if $(SEED),--seed $(SEED))

leaks: install ## random statements on poisoned hidden rows: no answer may depend on them (STATEMENTS=20000 SEED=1000000)
	$(BIN)/python -m tests.policy.leak_search --statements $(or $(STATEMENTS),20000) $(if $(SEED),--seed $(SEED))

kills: install ## SIGKILL for gateway, PostgreSQL and Triton under load: its own log and the audit log must agree (KILLS=200 SEED=1 WORKERS=1)
	$(BIN)/python -m tests.kills --kills $(or $(KILLS),200) --workers $(or $(WORKERS),1) $(if $(SEED),--seed $(SEED))

soak: install ## many clients for long, a storm of logins, one hostile client: what is left behind, what others notice (CLIENTS=500 MINUTES=20 WORKERS=1)
	$(BIN)/python -m tests.soak --clients $(or $(CLIENTS),500) --minutes $(or $(MINUTES),20) --workers $(or $(WORKERS),1)

suites: install ## other projects' own tests, through the gateway (SUITE=asyncpg: that one alone)
	$(if $(SUITE),,$(BIN)/python -m tests.drivers.regress)
	$(if $(SUITE),,$(BIN)/python -m tests.roundtrip)
	$(BIN)/python -m tests.suites $(SUITE)

bi: install ## Superset, pgAdmin, dbt, JDBC, ODBC and others, through the gateway and without it (TOOL=dbt: that one alone)
	$(BIN)/nlsql-gateway model pull
	$(BIN)/python -m tests.bi $(TOOL)

fuzz: install ## fuzz what reads bytes (TARGET=framing SECONDS=600), keep the corpus; cut the line after every byte
	@find . -name '*.so' -not -path './$(VENV)/*' -delete; rm -f $(VENV)/.compiled
	NLSQL_PURE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --config-settings editable_mode=compat --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) $(TARGET)
	$(if $(TARGET),,$(BIN)/python -m tests.server.test_lines)

TOOLS := build/tools

$(TOOLS)/.installed: locks/tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement locks/tools.txt
	@touch $@

LOCK := $(TOOLS)/bin/uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11.5

lock: $(TOOLS)/.installed ## the versions of constraints.txt with the hashes of their files, into locks/
	$(LOCK) --constraint constraints.txt --extra console pyproject.toml --output-file locks/gateway.txt
	$(LOCK) --constraint constraints.txt $(foreach extra,analysis console dev embedded evaluation fuzz,--extra $(extra)) \
	  pyproject.toml --output-file locks/everything.txt
	$(LOCK) --constraint constraints.txt locks/build.in --output-file locks/build.txt
	$(LOCK) locks/tools.in --output-file locks/tools.txt

sbom: $(TOOLS)/.installed ## what the image installs, as CycloneDX with licences, into build/sbom.json
	$(PYTHON) -m venv --clear --without-pip build/gateway
	$(TOOLS)/bin/python -m pip --python build/gateway/bin/python install --quiet --disable-pip-version-check \
	  --only-binary :all: --require-hashes --requirement locks/gateway.txt
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json build/gateway/bin/python

check: lint types imports test ## everything CI checks

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

bench: install ## figures as ratios, into benchmarks/results/
	$(BIN)/python -m benchmarks
	$(BIN)/nlsql-gateway model pull
	$(BIN)/python -m benchmarks.questions

shots: install ## the screenshots of the documentation, by Chromium, into docs/images
	NLSQL_SHOTS=docs/images $(BIN)/python -m pytest -q tests/console/test_chromium.py

docs: install ## the documentation as a site, into build/site; a broken link is an error
	$(BIN)/mkdocs build --strict
	@echo build/site/index.html

format: install ## ruff, in place
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean: ## remove what the other targets made, the model excepted
	rm -rf $(VENV) .demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
