# Everything runs in .venv; `make demo` and `make test` set it up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled modules are kept, whatever the shell says: else each of hundreds of processes compiles thousands of them anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-service test-plugin test-images test-exchange test-faults test-slow test-fuzz test-random test-mutations test-lowest test-pythons test-install lint bench docs notebooks site lock clean

# The demo needs neither cellpose nor napari.
$(VENV)/.service: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python $(BIN)/python -e ".[service]"
	touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(VENV)/.service
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python $(BIN)/python -e ".[dev]"
	touch $@

demo: $(VENV)/.service
	$(BIN)/imaging-service demo --out demo-output

# napari draws with OpenGL: a virtual display where there is one, so that no window pops up; else the real one.
DISPLAYED := $(if $(shell command -v xvfb-run),xvfb-run -a -s "-screen 0 1600x1000x24",)

# napari and npe2 use deprecated parts of what they import.
WITH_NAPARI := -p napari.utils._testsupport -W ignore::DeprecationWarning

# One process more than cores: tests of the service wait for it.
FAST := -m "not slow and not images" -n 3 --dist loadscope --no-loadscope-reorder --ignore tests/napari_plugin --ignore tests/exchange
NAPARI := -m "not slow and not images" $(WITH_NAPARI) tests/napari_plugin

# Tests write some 300,000 small files: in memory, where /dev/shm has 4 GB free and may run programs, and only those of failed tests stay. Else in TMPDIR.
MEMORY := $(if $(TMPDIR),,$(shell grep -s ' /dev/shm ' /proc/mounts | grep -qv noexec && df --output=avail /dev/shm | awk 'NR == 2 && $$1 > 4e6 { print "/dev/shm" }'))
IN_MEMORY := $(if $(MEMORY),TMPDIR=$(MEMORY))
KEPT := $(if $(MEMORY),-o tmp_path_retention_policy=failed)

# Coverage in CI only: it takes time. Server and worker processes are not counted, so the figure is a lower bound.
COVERED := $(if $(CI),--cov --cov-report=)

# Both halves run, side by side, and either can fail the target.
test: $(VENV)/.dev
	$(MAKE) --no-print-directory --jobs 2 --keep-going test-service test-plugin
	$(if $(CI),$(BIN)/python -m coverage combine --quiet .coverage.service .coverage.plugin && $(BIN)/python -m coverage report --skip-covered)

test-service: $(VENV)/.dev
	$(IN_MEMORY) COVERAGE_FILE=.coverage.service $(BIN)/python -m pytest $(FAST) $(KEPT) $(COVERED)

# Its words are shown at its end, so that they do not run into the other half's.
test-plugin: $(VENV)/.dev
	mkdir -p build
	$(IN_MEMORY) COVERAGE_FILE=.coverage.plugin $(DISPLAYED) $(BIN)/python -m pytest $(NAPARI) $(KEPT) $(COVERED) > build/test-plugin.txt 2>&1; code=$$?; echo; cat build/test-plugin.txt; exit $$code

# Photographs, and tables that may not be copied, in ../shared/data.
test-images: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadscope tests/images

# Kills, full disks, lost shares, databases and workers, on SQLite and on a Postgres that the suite starts. Mounting a full disk needs root.
test-faults: $(VENV)/.dev
	$(BIN)/python -m pytest tests/faults

# The validators of RO-Crates and of k, and other readers of OME-Zarr, need other libraries than this project: an environment of their own, no network.
VALIDATORS := build/validators
$(VALIDATORS)/.installed: tests/exchange/validators.lock | $(VENV)/.service
	rm -rf $(VALIDATORS) && mkdir -p build
	$(PYTHON) -m venv $(VALIDATORS)
	$(BIN)/uv pip install --quiet --require-hashes --python $(VALIDATORS)/bin/python -r tests/exchange/validators.lock
	touch $@

test-exchange: $(VENV)/.dev $(VALIDATORS)/.installed
	$(BIN)/python -m pytest tests/exchange

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m "slow and not images" -n 2 --dist loadscope --ignore tests/napari_plugin --ignore tests/faults/test_random_faults.py

# 10,000 damaged files for each parser of instruments' metadata: half an hour.
test-fuzz: $(VENV)/.dev
	FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest -m slow tests/imaging_service/ingest/test_fuzzed_metadata.py

# Other examples each time; `make test-random SEED=…` draws those of a red run again.
SEED := $(or $(SEED),$(shell date +%s))
test-random: $(VENV)/.dev
	@echo "seed $(SEED)"
	$(BIN)/python -m pytest $(FAST) --hypothesis-profile random --hypothesis-seed $(SEED)

# What needs neither torch nor a service, fast enough to be run in several environments.
SCIENCE := tests/plate_maps tests/phenotypes/statistics tests/phenotypes/columns tests/phenotypes/films/test_kaplan_meier.py tests/imaging_service/ingest

# ngio writes what it reads; it is not part of the install, and asks for newer libraries than the oldest.
WITH_NGIO := tests/imaging_service/ingest/formats/test_ome_zarr.py::test_a_tile_that_no_field_covers_needs_no_chunk

# bioio is an extra, and not installed with the oldest versions.
WITH_BIOIO := tests/imaging_service/ingest/formats/test_through_bioio.py

# Neither obstore nor the S3 server of the tests is installed there.
WITH_S3 := tests/imaging_service/ingest/images/test_zarr_on_s3.py

# Versions resolved as given, installed without torch and its libraries: they take minutes, and these tests need none.
define science_in
	rm -rf build/$(1) && mkdir -p build
	$(2) -m venv build/$(1)
	$(BIN)/uv pip compile --quiet $(3) --extra service --no-header --no-annotate pyproject.toml | grep -vE '^(torch|triton|nvidia-)' > build/$(1)/versions.txt
	$(BIN)/uv pip install --quiet --no-deps --python build/$(1)/bin/python -r build/$(1)/versions.txt
	$(BIN)/uv pip install --quiet --constraint build/$(1)/versions.txt --python build/$(1)/bin/python pytest hypothesis
	build/$(1)/bin/python -m pytest -q -m "not slow and not images" --deselect $(WITH_NGIO) --ignore $(WITH_BIOIO) --ignore $(WITH_S3) $(SCIENCE)
endef

# The oldest versions that pyproject.toml allows.
test-lowest: $(VENV)/.dev
	$(call science_in,lowest,$(PYTHON),--resolution lowest-direct --python $(PYTHON))

# Newer Pythons, where this machine has them.
test-pythons: test-python3.12 test-python3.13

test-python%: $(VENV)/.dev
	$(if $(shell python$* -c "print(1)" 2> /dev/null),$(call science_in,python$*,python$*,--constraint requirements.lock --python-version $*),@echo "Python $* is not on this machine: not tested")

# Deliberate faults, each of which must turn its tests red (an hour): tests/mutations.py.
test-mutations: $(VENV)/.dev
	$(BIN)/python -m tests.mutations --unmutated

# What the README says to install, as it says it: the client and the reviewer come without torch, and the client without numpy.
test-install: $(VENV)/.dev
	rm -rf build/light build/review build/full
	$(PYTHON) -m venv build/light
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python build/light/bin/python .
	build/light/bin/imaging-service --help > /dev/null
	build/light/bin/python -c "import importlib.util as u, imaging_service.client; assert not any(map(u.find_spec, ['numpy', 'torch', 'fastapi']))"
	$(PYTHON) -m venv build/review
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python build/review/bin/python ".[review]"
	build/review/bin/python -c "import importlib.util as u, napari, napari_plugin.widget, polars; assert not any(map(u.find_spec, ['torch', 'fastapi', 'cv2', 'cellpose']))"
	QT_QPA_PLATFORM=offscreen build/review/bin/napari --info > /dev/null
	$(PYTHON) -m venv build/full
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python build/full/bin/python ".[service]"
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python build/full/bin/python ".[cellpose]"
	$(BIN)/uv pip install --quiet --constraint requirements.lock --python build/full/bin/python ".[s3]"
	build/full/bin/imaging-service models list > /dev/null
	build/full/bin/python -c "import cellpose, obstore"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check plate_maps segmentation phenotypes imaging_service napari_plugin tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

# Annotated nuclei are used where they lie beside the clone; without them the figures are of drawings only.
NUCLEI := $(wildcard ../shared/data/nuclei_dsb2018)

bench: $(VENV)/.dev
	$(BIN)/imaging-service bench segmentation --out bench-output $(if $(NUCLEI),--nuclei $(NUCLEI))
	$(BIN)/python -m benchmarks.speed.latency
	$(BIN)/python -m benchmarks.inference.recovery --seeds 20
	$(BIN)/python -m benchmarks.masks.matrix --out bench-output

docs: $(VENV)/.service
	$(BIN)/python -c "from phenotypes.columns.dictionary import markdown; print(markdown(), end='')" > docs/columns.md
	$(BIN)/python -c "from phenotypes.columns.disturbances import markdown; print(markdown(), end='')" > docs/disturbances.md

# The notebooks, executed from top to bottom: an error in one is an error here.
notebooks: $(VENV)/.dev
	rm -rf build/notebooks
	cd docs/notebooks && ../../$(BIN)/jupyter nbconvert --log-level WARN --execute --to markdown --output-dir ../../build/notebooks *.ipynb

# The pages lie under build/pages as in the repository, so that one link serves both.
PAGES := README.md CHANGELOG.md CONTRIBUTING.md docs examples benchmarks/README.md benchmarks/traces/README.md segmentation/engines/motornet/weights/README.md

site: notebooks
	rm -rf build/pages build/site
	mkdir -p build/pages
	tar -cf - $(PAGES) | tar -xf - -C build/pages
	cp -r build/notebooks/. build/pages/docs/notebooks/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# What was tested: exact versions with hashes, for every platform. Run again to take newer ones, then the whole suite.
lock: $(VENV)/.service
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) demo-output bench-output
