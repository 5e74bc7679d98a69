# `make demo` and `make test` work in a fresh clone: each builds .venv once (again when the requirements change), then runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(BIN)/inbetween demo --out outputs/demo

test: lint
	$(BIN)/python -m pytest -q

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,decord]'
	touch $@

clean:
	rm -rf $(VENV) outputs build *.egg-info .pytest_cache .ruff_cache .mypy_cache
