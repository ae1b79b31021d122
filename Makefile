# Everything runs in .venv; `make demo` and `make test` set it up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint bench docs clean

# The demo needs no torch and no napari: half a minute of set-up instead of gigabytes.
$(VENV)/.service: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[service]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.service
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[dev]"
	touch $@

demo: $(VENV)/.service
	$(BIN)/imaging-service demo --out demo-output

test: $(VENV)/.dev
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope

test-slow: $(VENV)/.dev
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check plate_maps segmentation phenotypes imaging_service napari_plugin tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/recovery.py --seeds 20

docs: $(VENV)/.service
	$(BIN)/python -c "from phenotypes.columns import markdown; print(markdown(), end='')" > docs/columns.md

clean:
	rm -rf $(VENV) demo-output
