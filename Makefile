# Everything runs in .venv with the versions of constraints.txt.
SHELL := /bin/bash
PYTHON ?= python3
STORAGE ?= runs
# PRESET=NAME is the former name of RECIPE=shapes-NAME.
PRESET ?= quick
RECIPE ?= shapes-$(PRESET)
PORT ?= 8000
ARGS ?=
CASES ?= tests/parity

BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help install quickstart test test-slow test-all test-vllm vbench-env parity serve lint audit pretrain clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables: STORAGE=$(STORAGE) RECIPE=$(RECIPE) PORT=$(PORT) PYTHON=$(PYTHON) CASES=$(CASES) ARGS='section.key=value ...'"

install: $(READY) ## Make the environment in .venv

# pip takes a CPU build of torch where PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL names a place that has one, as
# PyTorch's own index does; else PyPI's build, larger because of its CUDA libraries, which a CPU runs as well.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is another: make install PYTHON=python3.12"; exit 1; }
	@command -v c++ >/dev/null || { echo "a C++ compiler is needed (Debian: apt-get install g++)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,serve,postgres,export,dev]'
	@touch $@

quickstart: $(READY) ## Run the whole line on the small world; ends with a report
	$(BIN)/python jobs/line.py --recipe '$(RECIPE)' --storage '$(STORAGE)' $(ARGS)

test: $(READY) ## Run the default tests
	$(BIN)/python -m pytest -m 'not slow' $(ARGS)

test-slow: $(READY) ## Run the tests that the default leaves out
	$(BIN)/python -m pytest -m slow $(ARGS)

test-all: $(READY) ## Run every test
	$(BIN)/python -m pytest $(ARGS)

test-vllm: ## Run the captioner through vLLM's CPU build, in an environment of its own
	PYTHON='$(PYTHON)' tests/caption_vllm/run.sh $(ARGS)

vbench-env: ## Make the environment of VBench's own package
	PYTHON='$(PYTHON)' tools/vbench_env.sh

parity: $(READY) ## Compare with the published models, every case of the folder CASES
	PYTHONPATH=tests/support $(BIN)/python -m parity '$(CASES)'

serve: $(READY) ## Serve the line's student, or the shipped one, on 127.0.0.1:PORT
	$(BIN)/python jobs/serve.py --storage '$(STORAGE)' serve.port=$(PORT) $(ARGS)

lint: $(READY) ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: ## Look the lock up among known weaknesses (network), and write dist/sbom.json
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0
	mkdir -p dist
	.venv-audit/bin/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml --output-reproducible \
		--of JSON -o dist/sbom.json
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

pretrain: $(READY) ## Train the small world's models again (hours)
	$(BIN)/python jobs/pretrain.py --storage '$(STORAGE)' $(ARGS)

clean: ## Remove the environment and caches; runs stay
	rm -rf .venv .venv-vllm .venv-vbench .venv-audit build dist *.egg-info .import_linter_cache .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
