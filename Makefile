# ACIS. `make` lists what there is to do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# uv does not read pip's settings; a machine with its own wheel folder names it in PIP_FIND_LINKS.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_LINK_MODE ?= copy
# Spinning OpenMP threads are ten times slower on a busy machine.
export OMP_WAIT_POLICY ?= passive
TORCH_FROM := $(if $(strip $(UV_FIND_LINKS)),,--torch-backend cpu)

.DEFAULT_GOAL := help
.PHONY: help demo up test check fix bench reproduce reproduce-short migrate lock gpu clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/lock.txt requirements/torch.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}: run make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/lock.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps $(TORCH_FROM) -r requirements/torch.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## set everything up and carry real data through one nightly run
	@$(BIN)/acis demo

up: $(READY) ## start everything on this machine; Ctrl-C stops it all
	@$(BIN)/acis up

test: $(READY) ## run the tests (real Postgres and Redis, no network)
	@$(BIN)/python -m pytest -n 2 --durations=20 $(T)

check: $(READY) ## formatting, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(READY) ## put right what can be put right by machine
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## measure every claim beside its peer, one JSON line each
	@$(BIN)/python -m benchmarks $(B)

reproduce: $(READY) ## rebuild docs/results.md from the shipped data and fixed seeds (about an hour)
	@rm -rf var/reproduce
	@ACIS_VAR_DIR=var/reproduce $(BIN)/acis reproduce --page docs/results.md --store docs/results.json

reproduce-short: $(READY) ## rebuild a short form of the results; fails on any difference
	@rm -rf var/reproduce-short
	@ACIS_VAR_DIR=var/reproduce-short $(BIN)/acis reproduce --short --check docs/results-short.json

migrate: $(READY) ## bring the database to the newest schema
	@$(BIN)/acis migrate

lock: $(READY) ## resolve the dependencies anew into requirements/lock.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url \
	  --extra web --extra jobs --extra ml --extra rl --group dev --override requirements/override.txt \
	  pyproject.toml requirements/torch.in --output-file requirements/lock.txt

gpu: $(READY) ## replace PyTorch's CPU build by the CUDA build (several GB)
	@$(BIN)/uv pip install --python $(BIN)/python --torch-backend auto --reinstall-package torch "torch==2.13.0"

clean: ## remove the environment and caches; data in var/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
