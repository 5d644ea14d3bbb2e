# Every target makes its own environment in .venv first; needs Python 3.11 or newer and make.
PYTHON ?= python3
BIN = .venv/bin
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE = 1

.PHONY: setup lint test docs pictures demo gallery results soak bench clean

setup: .venv/ready

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "empirisk needs Python 3.11 or newer: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

docs: setup
	$(BIN)/sphinx-build -q -W -b html docs docs/_build

pictures: setup
	EMPIRISK_DRAW=1 $(BIN)/python -m pytest -q docs/course

demo: .venv/ready
	$(BIN)/empirisk demo --out runs/demo
	@echo
	@echo "Open runs/demo/report.html"

gallery: setup
	$(BIN)/python benchmarks/gallery.py

results: setup
	$(BIN)/python benchmarks/results.py

bench: setup
	for f in benchmarks/bench_*.py; do $(BIN)/python $$f || exit 1; done

soak: setup
	EMPIRISK_SOAK=1 $(BIN)/python -m pytest -q tests/faults tests/test_resume.py tests/test_every_command_line.py

clean:
	rm -rf .venv runs docs/_build
