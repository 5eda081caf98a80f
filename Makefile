# Each target sets up its own environment first: make train works on a machine with nothing installed.

PYTHON ?= python3
BIN := .venv/bin

train: .venv/installed
	$(BIN)/python -m monai.bundle run --config_file bundles/srgan/configs/train.json $(ARGS)

test: .venv/installed
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

.venv/installed: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

.PHONY: train test lint bench
