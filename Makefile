# `make demo` and `make test` work in a fresh clone: each builds .venv once (again when the requirements change), then runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs ablation frontier clean

demo: $(VENV)/installed
	$(BIN)/inbetween demo --out outputs/demo

test: lint
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

docs: $(VENV)/installed # into docs/_build/html; a warning fails
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

ablation: $(VENV)/installed # several hours on two cores; goes on where it was stopped
	$(BIN)/python eval/train_variants.py
	for name in ablation samplers sweeps seeds; do $(BIN)/python eval/evaluate.py --config configs/eval/$${name}_pocket.yaml || exit 1; done

frontier: $(VENV)/installed # quality against UNet passes: hours on two cores; goes on where it was stopped
	$(BIN)/python eval/frontier.py --config configs/eval/frontier_pocket.yaml

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,decord]'
	touch $@

clean:
	rm -rf $(VENV) outputs build docs/_build docs/api docs/notebooks docs/reports *.egg-info .pytest_cache .ruff_cache .mypy_cache
