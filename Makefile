# `make demo` and `make test` work in a fresh clone: each builds .venv once (again when the requirements change), then runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint ablation clean

demo: $(VENV)/installed
	$(BIN)/inbetween demo --out outputs/demo

test: lint
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

ablation: $(VENV)/installed # several hours on two cores; goes on where it was stopped
	$(BIN)/python eval/train_variants.py
	for name in ablation samplers sweeps seeds; do $(BIN)/python eval/evaluate.py --config configs/eval/$${name}_pocket.yaml || exit 1; done

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,decord]'
	touch $@

clean:
	rm -rf $(VENV) outputs build *.egg-info .pytest_cache .ruff_cache .mypy_cache
