# Two commands need nothing but Python 3.11 or newer: make demo, make test.
# make test-slow, make coverage, make test-busy: see CONTRIBUTING.md.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STUDY ?= studies/quick.yaml
OUT ?= demo
# All cores; the tests of a file share what is costly, so they run in the same process.
PYTEST = $(BIN)/python -m pytest --numprocesses auto --dist loadfile

.PHONY: demo test test-slow coverage test-busy check clean

demo: $(VENV)/.installed
	$(BIN)/geobench --catalog $(OUT)/catalog run $(STUDY)
	$(BIN)/geobench --catalog $(OUT)/catalog leaderboard $(STUDY) --html $(OUT)/leaderboard.html
	$(BIN)/geobench --catalog $(OUT)/catalog leaderboard build $(STUDY) --out $(OUT)/site

test: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow

coverage: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow" --cov=geobench --cov=geobench_plugins --cov=geobench_catalog --cov-branch --cov-report=
	$(BIN)/coverage json --quiet -o .coverage.json
	$(BIN)/python tests/coverage_of_packages.py .coverage.json

test-busy: $(VENV)/.installed-dev
	$(BIN)/python tests/busy.py 8 $(PYTEST) --slowest 200

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("geobench needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Use make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lightning,tensorboard]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) $(OUT)
