# The front doors. Everything else is `.venv/bin/artdetect --help`.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SAMPLE := data/sample/drawn-art.zip

.PHONY: help setup demo test check serve-up serve-down bench bench-full clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    set up, then the whole pipeline on the drawn sample set"
	@echo "make test    set up, then all tests"
	@echo "make serve-up    set up, then Prefect's server, dashboard, deployments and a worker; make serve-down stops them"
	@echo "make check   set up, then formatting, lint and types"
	@echo "make bench   what it costs: nothing to do, growing sizes, beside the notebook; bench-full: at full size"
	@echo "make clean   remove the environment, Prefect's state, the sample set and data/cache; artifacts stay"

setup: $(READY)

# The stamp makes set-up free the second time; new pins or dependencies set up again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "artdetect needs Python 3.11 or newer; try make PYTHON=python3.12")'
	@echo "Setting up .venv, once: about 3 GB with TensorFlow, a few minutes"
	@$(PYTHON) -m venv .venv
	@PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check install --quiet --editable '.[dev]'
	@touch $@

$(SAMPLE): $(READY) $(wildcard artdetect/sample/*.py)
	@echo "Drawing the sample set"
	@$(BIN)/artdetect sample data/sample

demo: $(SAMPLE)
	@$(BIN)/artdetect run --config configs/sample.toml

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

serve-up: $(SAMPLE)
	@$(BIN)/python -m artdetect.services up

serve-down: $(READY)
	@$(BIN)/python -m artdetect.services down

bench: demo
	@$(BIN)/python -m benchmarks.no_op
	@$(BIN)/python -m benchmarks.audits
	@$(BIN)/python -m benchmarks.scaling
	@$(BIN)/python -m benchmarks.notebook_comparison
	@$(BIN)/python -m benchmarks.explanations

bench-full: demo
	@$(BIN)/python -m benchmarks.no_op
	@$(BIN)/python -m benchmarks.audits
	@$(BIN)/python -m benchmarks.scaling --full
	@$(BIN)/python -m benchmarks.notebook_comparison --full
	@$(BIN)/python -m benchmarks.explanations

clean:
	@if [ -e .prefect/supervisord.pid ]; then $(BIN)/python -m artdetect.services down; fi
	rm -rf .venv .prefect data/sample data/cache
