# Two commands: `make demo` shows it running, `make test` checks it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar on
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

.PHONY: help
help:  ## Show these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: $(VENV)/run.done  ## Run the whole platform on simulated cameras for about a minute
	@$(BIN)/platelake demo $(ARGS)

.PHONY: test
test: $(VENV)/dev.done  ## Run every test: unit, and integration with real services
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: test-unit
test-unit: $(VENV)/dev.done  ## Run the tests that need no services
	@$(BIN)/python -m pytest -m "not integration" $(ARGS)

.PHONY: lint
lint: $(VENV)/dev.done  ## Check style, types, import layering, message schemas and manifests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m ingest.schema --check
	$(BIN)/python -m infra.check_manifests

.PHONY: bench
bench: $(VENV)/dev.done  ## Measure throughput and latency beside what one would pick instead
	@$(BIN)/platelake bench throughput $(ARGS)

.PHONY: soak
soak: $(VENV)/dev.done  ## Kill everything at random for a while, and count what was lost
	@$(BIN)/python -m tests.soak $(ARGS)

.PHONY: venv
venv: $(VENV)/dev.done  ## Make the virtual environment with all tools

.PHONY: lock
lock:  ## Choose versions anew and write them with their hashes (needs uv)
	echo 'setuptools>=77' | $(COMPILE) - --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --extra dev --extra ppocr --constraint requirements/run.txt \
		--output-file requirements/dev.txt

.PHONY: clean
clean:  ## Stop the stack; remove its state, the virtual environment and caches
	@if [ -x $(BIN)/platelake ]; then $(BIN)/platelake down --delete-data; fi
	rm -rf $(VENV) .platelake .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis build *.egg-info

# The stamps hold the environment: they are made anew when a lock file changes.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
		sys.exit(0 if v == (3, 11) else f"Python 3.11 is required, this is {v[0]}.{v[1]}: " \
		"install it, or name it: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.done: requirements/build.txt requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) --quiet --require-hashes --requirement requirements/build.txt
	$(PIP) --require-hashes --only-binary :all: --requirement requirements/run.txt
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.done: $(VENV)/run.done requirements/dev.txt
	$(PIP) --require-hashes --only-binary :all: --requirement requirements/dev.txt
	@touch $@
