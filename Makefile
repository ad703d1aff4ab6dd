# Each target first creates the virtual environment it needs, and leaves it alone while neither
# the interpreter nor pyproject.toml has changed.

PYTHON ?= python3

# pyenv puts a program on PATH for each of its versions, which only works for those it was told to use: then look
# where it keeps them.
PROGRAM := $(or $(shell $(PYTHON) -c 'print("$(PYTHON)")' 2>/dev/null), \
	$(shell ls -d "$$(pyenv root 2>/dev/null)"/versions/$(PYTHON:python%=%)*/bin/$(PYTHON) 2>/dev/null | sort -V | tail -n 1), \
	$(PYTHON))

# The minor version, and a key for this interpreter in this folder: an environment holds absolute
# paths, so one that was copied along with its project has to be made anew.
INTERPRETER := $(shell $(PROGRAM) -c 'import os, sys, zlib; \
	assert sys.version_info >= (3, 11); \
	key = zlib.crc32("|".join([sys.version, sys.base_prefix, os.getcwd()]).encode()); \
	print("%d.%d %08x" % (sys.version_info[0], sys.version_info[1], key))' 2>/dev/null)
VERSION := $(word 1,$(INTERPRETER))

# A chosen interpreter gets an environment of its own beside the default one.
VENV ?= .venv$(if $(filter file,$(origin PYTHON)),,-$(VERSION))
BIN := $(VENV)/bin
CREATED := $(VENV)/.created-$(word 2,$(INTERPRETER))
installed = $(1:%=$(VENV)/.installed-%)

# Extras to install on top: `make demo EXTRAS=cuda`.
EXTRAS ?=

# Arguments of the benchmarks: `make bench BENCH='--effort 0.1'`.
BENCH ?=

# Arguments of the examples: `make examples SIZE=` runs all of each.
SIZE ?= --small

.DEFAULT_GOAL := help
.PHONY: help demo examples gallery test coverage packages oldest docs run-coverage run-packages run-oldest run-docs docs-browser bench lint types types-peers check clean
# Two installations at once would spoil one environment.
.NOTPARALLEL:

help: ## Show this list
	@echo 'Usage: [PYTHON=python3.12] make TARGET [EXTRAS=cuda]'
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile

demo: $(call installed,examples $(EXTRAS)) ## Train a classifier of handwritten digits and draw digits.png
	@$(BIN)/python examples/digits.py

examples: $(call installed,examples $(EXTRAS)) ## Run every example, small, with its picture in build/
	@mkdir -p build
	@set -e; for name in $(basename $(notdir $(wildcard examples/*.py))); do \
		echo "examples/$$name.py"; $(BIN)/python examples/$$name.py $(SIZE) --plot build/$$name.png; done

gallery: ## Run all of every example, and put their pictures into docs/assets
	@$(MAKE) --no-print-directory examples SIZE=
	@$(BIN)/python -m tests.pictures

test: $(call installed,test $(EXTRAS)) ## Run the test suite
	@$(BIN)/python -m pytest -n auto

# Environments of their own: what is installed for these would change what the others find.
coverage packages oldest docs:
	@$(MAKE) --no-print-directory run-$@ VENV=$(VENV)-$@

coverage: ## Run the test suite and tests/ecosystem with the packages around JAX, and measure the branches covered
run-coverage: $(call installed,ecosystem)
	@$(BIN)/python -m pytest -n auto -o 'norecursedirs=.* packages site' --cov

packages: ## Run real packages built on flax.struct with structkit.struct in its place
run-packages: $(call installed,packages)
	@$(BIN)/python -m pytest -n auto --dist worksteal tests/packages

oldest: ## Run the test suite with the oldest supported versions of what structkit needs
run-oldest: $(call installed,oldest)
	@$(BIN)/python -m pytest -n auto

docs: ## Build the site in build/site; fails where code, figures, links or anchors in it are wrong
run-docs: $(call installed,docs)
	@JAX_NUM_CPU_DEVICES=8 $(BIN)/python -m pytest -n auto tests/test_docs.py tests/test_benchmarks.py \
		tests/ecosystem/test_notebook.py tests/site/test_distribution.py -k 'page or notebook or distribution'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-browser: docs ## Look at the site in a headless Chromium, where there is one: wide and narrow, light and dark
	@$(VENV)-docs/bin/python -m pytest -n auto -rs tests/site

bench: $(call installed,bench) ## Measure structkit beside its peers: tables, benchmarks/results.json and .png
	@$(BIN)/python -m benchmarks $(BENCH)

lint: $(call installed,lint test examples) ## Check style (ruff) and types (mypy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

types: $(call installed,types) ## Check the programs in tests/typing with five type checkers
	@$(BIN)/python tests/typing/check.py

types-peers: $(call installed,types peers) ## Print what the type checkers catch with structkit and with its peers
	@$(BIN)/python tests/typing/peers.py

check: lint types test ## Everything a change has to pass: lint, types and test

clean: ## Remove the environments, the caches and everything built
	rm -rf .venv .venv-* build dist *.png transformer.safetensors .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find structkit tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(CREATED):
	@$(if $(VERSION),,$(PYTHON) --version; echo '$(PYTHON) is not a working Python 3.11 or newer:' \
		'name one, as in PYTHON=python3.12 make $(MAKECMDGOALS)' >&2; exit 1)
	@echo 'Creating $(VENV) with Python $(VERSION)'
	@$(PROGRAM) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed-%: pyproject.toml $(CREATED)
	@echo 'Installing structkit-jax[$*] into $(VENV), the first time takes a minute or two ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@
