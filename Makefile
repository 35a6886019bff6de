# Every target makes what it needs first, and does nothing twice. Only a Python 3.11-3.13 with venv is assumed.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: help install deep run up test check bench contention scaling docs cards lock clean
help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: .venv/.core            ## make .venv and install from the hash-pinned lock

.venv/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Omega needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

# --no-deps: the lock is whole. Left to resolve, pip asks for the newest coverage[toml] although coverage
# is pinned, and refuses to install it unpinned: a lock that worked stops with the next release.
.venv/.core: requirements/core.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/core.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

# A build of PyTorch for the CPU needs nothing beside the list. One for CUDA cannot be imported without
# its 2 GB of libraries, and where that is the build there is, pip is left to bring them.
.venv/.deep: requirements/deep.txt .venv/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/deep.txt
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/deep.txt
	@touch $@

.venv/.bench: requirements/bench.txt .venv/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

deep: .venv/.deep               ## add PyTorch, which trains the ensemble's two deep members

run: .venv/.core                ## train on 2014-2015, trade 2016-2018, write the report
	$(BIN)/omega replay

up: .venv/.core                 ## start and supervise the whole desk on this machine, until Ctrl-C
	$(BIN)/omega up

test: .venv/.dev .venv/.deep    ## the whole suite, with a real PostgreSQL, and branch coverage
	$(BIN)/python -m pytest --cov --cov-report=term

check: .venv/.dev               ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.bench             ## the table of numbers that the README shows
	$(BIN)/python -m bench

contention: .venv/.dev          ## what training costs a decision, under each way of keeping it away
	$(BIN)/python -m bench.training

scaling: .venv/.dev             ## what a decision takes, and what 10,000 bots would: what the README shows
	$(BIN)/python -m bench.scaling

docs: .venv/.dev                ## write the README's tables anew from the code
	$(BIN)/python -m bench.tables

cards: .venv/.dev .venv/.deep   ## write docs/models and docs/walkforward.md anew; MARKET=FOLDER, WITHIN=FOLDER for what does not ship
	$(BIN)/python -m bench.cards "$(MARKET)" "$(WITHIN)"

lock:                           ## resolve the locks anew (needs uv)
	uv pip compile pyproject.toml requirements/build.in --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 -q -o requirements/core.txt
	uv pip compile pyproject.toml requirements/build.in --extra dev -c requirements/core.txt --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 -q -o requirements/dev.txt
	uv pip compile pyproject.toml requirements/build.in --extra bench -c requirements/dev.txt $$(sed -n 's/^\([a-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements/dev.txt) --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 -q -o requirements/bench.txt

clean:                          ## remove the environment and every cache; `var` stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info
