# The front doors. Everything else is `.venv/bin/artdetect --help`.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BASE := .venv/base
SAMPLE := data/sample/drawn-art.zip
STARTER_SETS = "$(ARTDETECT_REAL_DATA)/realart.zip", "$(ARTDETECT_REAL_DATA)/realart-incoming.zip", \
	{url = "$(ARTDETECT_REAL_DATA)/varied.zip", sources = "$(ARTDETECT_REAL_DATA)/varied-index.csv"}
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

define INSTALL
@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "artdetect needs Python 3.11 or newer; try make PYTHON=python3.12")'
@$(PYTHON) -m venv .venv
@$(BIN)/python tools/install.py
endef

.PHONY: help setup base demo docs test test-slow test-bits test-all check starter up down bench bench-full clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       set up, then run the whole pipeline on the drawn demo data set"
	@echo "make base       set up only what predict and serve need: no TensorFlow, no Prefect"
	@echo "make docs       set up, then build the site of the documentation in site/html"
	@echo "make test       set up, then run the tests"
	@echo "make test-slow  the long proofs: kills at many moments, processes, full sizes"
	@echo "make test-bits  the tests that compare bits once more, with TensorFlow's kernels capped at AVX2"
	@echo "make test-all   all four"
	@echo "make check      set up, then check formatting, lint, types, the import layers, and the links of the documentation"
	@echo "make starter    train the starter model on the pictures in ARTDETECT_REAL_DATA, and put it into the package"
	@echo "make up         set up, then start Prefect's server, dashboard, deployments and a worker"
	@echo "make down       stop them"
	@echo "make bench      what it costs: nothing to do, growing sizes, beside the notebook; bench-full: at full size"
	@echo "make clean      remove the environment, Prefect's state, the demo data set and data/cache; artifacts stay"

setup: $(READY)

base: $(BASE)

# The stamps make set-up free the second time; new pins or dependencies set up again.
$(READY): pyproject.toml constraints.txt constraints-hashes.txt
	@echo "Setting up .venv, once, with TensorFlow and Prefect: 3.4 GB"
	$(INSTALL) dev
	@touch $@

$(BASE): pyproject.toml constraints.txt constraints-hashes.txt
	@echo "Setting up .venv, once, with what predict and serve need: 260 MB"
	$(INSTALL)
	@touch $@

$(SAMPLE): $(READY) $(wildcard artdetect/demo_data/*.py)
	@echo "Drawing the demo data set"
	@$(BIN)/artdetect demo-data data/sample

demo: $(SAMPLE)
	@$(BIN)/artdetect run --config configs/sample.toml

docs: $(READY)
	@$(BIN)/python -m tools.site

test: $(READY)
	@$(PYTEST) -m "not slow"

test-slow: $(READY)
	@$(PYTEST) -m slow

test-bits: $(READY)
	@ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) -m bits

test-all: test test-slow test-bits

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.site

starter: $(READY)
	@test -n "$(ARTDETECT_REAL_DATA)" || { echo "ARTDETECT_REAL_DATA must name the folder of the data sets" >&2; exit 2; }
	@$(BIN)/artdetect starter-model --config configs/starter.toml --set 'download.sets=[$(STARTER_SETS)]'

up: $(SAMPLE)
	@$(BIN)/python -m artdetect.services up

down: $(READY)
	@$(BIN)/python -m artdetect.services down

bench: demo
	@$(BIN)/python -m benchmarks.no_op
	@$(BIN)/python -m benchmarks.audits
	@$(BIN)/python -m benchmarks.scaling
	@$(BIN)/python -m benchmarks.notebook_comparison
	@$(BIN)/python -m benchmarks.explanations
	@$(BIN)/python -m benchmarks.gradient

bench-full: demo
	@$(BIN)/python -m benchmarks.no_op
	@$(BIN)/python -m benchmarks.audits
	@$(BIN)/python -m benchmarks.scaling --full
	@$(BIN)/python -m benchmarks.notebook_comparison --full
	@$(BIN)/python -m benchmarks.explanations
	@$(BIN)/python -m benchmarks.gradient

clean:
	@if [ -e .prefect/supervisord.pid ]; then $(BIN)/python -m artdetect.services down; fi
	rm -rf .venv .prefect data/sample data/cache
