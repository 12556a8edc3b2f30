# Needs Python 3.11 or newer, pip and make; everything else is set up in here, in .venv/ and .uv/.
#
#   make demo     what it does, told in a few seconds
#   make test     all tests                        make test ARGS="-n 2 -k redact"
#   make lint     ruff, formatting, types
#   make format   rewrite what `make lint` would ask for
#   make bench    the benchmarks                   make bench DATA=folder
#   make guarantees    the campaigns: hours  make guarantees ARGS=--short
#   make lock     resolve the dependencies anew
#   make clean    remove what the above has made

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help demo test lint format bench guarantees lock clean setup

ARGS ?=
DATA ?=

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

# A shim on the PATH may not run, and a `python3` may be an old one: each is asked.
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' \
	2>/dev/null && break; done)

# A uv that is too old to read our settings is passed over for one of our own.
UV := $(shell uv version --short >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)

export UV_PROJECT_ENVIRONMENT := .venv
ifneq ($(PYTHON),)
export UV_PYTHON ?= $(PYTHON)
endif
ifeq ($(UV_CACHE_DIR)$(shell mkdir -p "$${XDG_CACHE_HOME:-$$HOME/.cache}/uv" 2>/dev/null && echo y),)
export UV_CACHE_DIR := $(CURDIR)/.uv/cache
endif
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.uv/bin/uv:
ifeq ($(PYTHON),)
	@echo "stepwell needs Python 3.11 or newer: no python3, python3.14 ... python3.11 here is one." >&2
	@exit 1
else
	@rm -rf .uv
	@$(PYTHON) -m venv .uv >/dev/null 2>&1 && .uv/bin/python -m pip install -qq uv \
	|| { rm -rf .uv; $(PYTHON) -m pip install -qq --target .uv uv; } \
	|| { echo "uv could not be installed: $(PYTHON) needs pip, and pip a package index." >&2; exit 1; }
endif

NEEDS := $(filter .uv/bin/uv,$(UV))
PROJECTS := pyproject.toml uv.lock \
	$(wildcard examples/*/pyproject.toml integrations/*/pyproject.toml plugins/*/pyproject.toml)

# What a user has: the core and its dependencies.
.venv/.made: $(PROJECTS) | $(NEEDS)
	@echo "Setting up .venv: the core"
	@$(UV) sync --quiet --locked --no-dev --inexact
	@touch $@

# What the tests need: every distribution of the workspace, and the host frameworks.
.venv/.made-dev: $(PROJECTS) | $(NEEDS)
	@echo "Setting up .venv: the whole workspace, with what its tests need"
	@$(UV) sync --quiet --locked
	@touch .venv/.made $@

setup: .venv/.made-dev

demo: .venv/.made
	.venv/bin/stepwell demo

test: .venv/.made-dev
	.venv/bin/python -m pytest $(ARGS)

lint: .venv/.made-dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy $(wildcard core/stepwell plugins/*/stepwell_* integrations/*/*_stepwell \
		integrations/*/llama_index examples/plugin/*.py tests/typing)

format: .venv/.made-dev
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

bench: .venv/.made-dev
ifeq ($(DATA),)
	@echo "No data folder: speed only, with made-up texts. Give one by DATA=folder."
	.venv/bin/python -m stepwell_bench run --speed $(ARGS)
else
	.venv/bin/python -m stepwell_bench run --data '$(DATA)' --speed $(ARGS)
endif

guarantees: .venv/.made-dev
	.venv/bin/python -m tests.campaigns $(ARGS)

lock: | $(NEEDS)
	$(UV) lock --upgrade

clean:
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
