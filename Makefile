# alpha_pulse: `make demo` is the only command a newcomer needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1 )))  # one more than cores: many tests wait
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo setup lint test bench soak clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(VENV)/.core  ## install the core and hedge 1 BTC over 30 days of a simulated market
	$(BIN)/alpha-pulse demo

setup: $(VENV)/.dev  ## install every extra and the developers' tools

lint: $(VENV)/.dev  ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev  ## the whole test suite, with branch coverage
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov --cov-report=term --cov-fail-under=90 --durations=20 -m "not soak"

bench: $(VENV)/.dev  ## every figure that the README claims, as a table and as JSON
	$(BIN)/python -m benchmarks

soak: $(VENV)/.dev  ## the slow tests
	$(BIN)/pytest -m soak --timeout 0

clean:  ## remove the environment and everything that was generated
	rm -rf $(VENV) out var htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "alpha_pulse needs Python 3.11 or newer, and none was found on PATH. Install it, or say PYTHON=/path/to/python3 make demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable ".[all,dev]"
	@touch $@ $(VENV)/.core
