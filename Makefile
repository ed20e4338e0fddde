# `make` alone says what there is. Python 3.11 or newer and make are all that a fresh machine needs.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed

.DEFAULT_GOAL := help
.PHONY: help run install test check bench lint format types lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(RUN) ## Install what is missing, then start the demo: no account, no key
	@$(BIN)/frontdesk demo

install: $(RUN) ## Install what is missing, for a server: .venv/bin/frontdesk

test: $(DEV) ## Run the tests
	@$(BIN)/python -m pytest

check: lint types ## Run all that has to hold: lint, types, import contracts, tests
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest

bench: $(DEV) ## Measure, and print a table
	@$(BIN)/python -m benchmarks

lint: $(DEV) ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV) ## Put style and formatting right, as far as a machine can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV) ## Check the types
	@$(BIN)/mypy

lock: ## Pin the newest versions that pyproject.toml allows (needs uv)
	@command -v uv >/dev/null || { echo "uv is needed: https://docs.astral.sh/uv/getting-started/installation/" >&2; exit 1; }
	@$(UV_LOCK) --extra build --output-file requirements.lock
	@echo setuptools | $(UV_LOCK_BUILD) --constraints requirements.lock --output-file requirements-build.lock -
	@$(UV_LOCK) --extra build --extra dev --constraints requirements.lock --output-file requirements-dev.lock

clean: ## Remove what make has made; data and databases stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For every platform and Python that we support, with hashes, and without the address of an index.
UV_LOCK = uv pip compile pyproject.toml $(UV_LOCK_HOW)
UV_LOCK_BUILD = uv pip compile $(UV_LOCK_HOW)
UV_LOCK_HOW = --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url

# The stamps are younger than what they were installed from, so a second run begins at once.
# What development needs holds all that running needs, in the same versions.
$(RUN): requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@if [ -e $(DEV) ]; then $(MAKE) --silent $(DEV); else $(call install,requirements.lock); fi
	@touch $@

$(DEV): requirements-dev.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@$(call install,requirements-dev.lock)
	@touch $@

# pymessenger is built from source, by the pinned setuptools and not by one that pip would fetch for it.
define install
	echo "Installing $(1) into $(VENV)" && \
	$(PIP) install --require-hashes --requirement requirements-build.lock && \
	$(PIP) install --require-hashes --no-build-isolation --requirement $(1) && \
	$(PIP) install --no-deps --no-build-isolation --editable .
endef

# A python that pyenv only announces fails when it is run; one without ensurepip cannot make an environment with pip.
$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "Making $(VENV) with $$($$python --version)"; \
			exec $$python -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed, with its venv module (Debian and Ubuntu: apt install python3-venv)." >&2; \
	echo "Where it has another name: make PYTHON=/path/to/python3" >&2; \
	exit 1
