# spinsweep: `make demo` shows it, `make test` checks it; both set themselves up.
PYTHON ?= python3
JOBS ?= 4
PORT ?= 8000
BIN := .venv/bin
READY := .venv/.ready
DEMO := results/demo

.PHONY: help demo docs docs-serve wheel test test-all test-faults soak test-slurm test-drivers drivers-environment \
  test-packages fuzz bench bench-peers peers-environment lint clean

help:
	@echo "make demo      run the main job on this machine and draw its figures (minutes)"
	@echo "make docs      the documentation as pages, build/docs/VERSION/index.html; make docs-serve shows them on loopback"
	@echo "make wheel     the wheel, with these pages in it, dist/*.whl"
	@echo "make test      lint, types, import contracts and the test suite, with the tests that took longest;"
	@echo "               four at a time, since they wait a lot; on a machine of more than two cores: make test JOBS=8"
	@echo "make test-all  the exhaustive tests as well"
	@echo "make test-faults  hundreds of random faults (SEED=, COUNT=, ONLY=), with their totals"
	@echo "make soak      ten minutes of one run (SOAK_SECONDS=), in which no process may grow"
	@echo "make test-slurm  the tests on a real Slurm and over a real SSH server alone; make test runs them too"
	@echo "make test-drivers  public drivers (pymeasure, QCoDeS, InstrumentKit) against the emulated instruments; their"
	@echo "               environment of 700 MB is made first"
	@echo "make fuzz      bad input by the thousand, for ten minutes (FUZZ='--seconds 60 --seed 1')"
	@echo "make bench     engine overhead and memory, against plain Dask and a peer"
	@echo "make bench-peers  engine, network, macrospin, bench, reading and start beside what others would run, half an hour"
	@echo "               on two quiet cores (ROUNDS=3 ONLY=a,c); an environment of 2 GB is made first"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "spinsweep needs Python 3.11 or newer; set one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@echo "installing spinsweep and what it needs into .venv: some minutes, which pip spends in silence"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	@touch $@

demo: $(READY)
	$(BIN)/spinsweep run characterization --store $(DEMO)/characterization.zarr
	$(BIN)/spinsweep figures $(DEMO)/characterization.zarr --out $(DEMO)/figures
	$(BIN)/spinsweep run endurance --store $(DEMO)/endurance.zarr
	$(BIN)/spinsweep figures $(DEMO)/endurance.zarr --out $(DEMO)/figures
	$(BIN)/spinsweep run persistence --store $(DEMO)/persistence.zarr
	$(BIN)/spinsweep figures $(DEMO)/persistence.zarr --out $(DEMO)/figures
	$(BIN)/spinsweep run codesign --store $(DEMO)/codesign.zarr --set seed=0:2 --set images=2000
	$(BIN)/spinsweep figures $(DEMO)/codesign.zarr --out $(DEMO)/figures
	PATH="$(CURDIR)/$(BIN):$$PATH" spinsweep emulate $(DEMO)/bench.toml --speed 1e6 --run \
	  "spinsweep run hil --on $(DEMO)/bench.toml --store $(DEMO)/hil.zarr --set seed=0 --set epochs=2 --set cycles=20"
	$(BIN)/spinsweep figures $(DEMO)/hil.zarr --out $(DEMO)/figures
	$(BIN)/spinsweep run frontier --store $(DEMO)/frontier.zarr --set seed=0:5 --set variation=0.25 --set ratio=35 \
	  --set pulses=0,28,140,1400,5600 --set test_images=200
	$(BIN)/spinsweep figures $(DEMO)/frontier.zarr --out $(DEMO)/figures
	$(BIN)/spinsweep card $(DEMO)/characterization.zarr --out $(DEMO)/card.toml --force
	@echo
	@echo "cubes     $(DEMO)/*.zarr      xarray: xr.open_zarr(\"$(DEMO)/characterization.zarr\")"
	@echo "figures   $(DEMO)/figures/*.png"
	@echo "card      $(DEMO)/card.toml"
	@echo "bench     $(DEMO)/bench.toml     emulated: spinsweep emulate $(DEMO)/bench.toml"

docs: $(READY)
	PYTHONPATH=engine/docs $(BIN)/python -m pages

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs $(PORT)

wheel: docs
	PYTHONPATH=engine/docs $(BIN)/python -m pages.wheel

test: $(READY) test-packages
	@$(MAKE) --no-print-directory -j2 lint docs  # mypy keeps one core, and the pages another
	@$(BIN)/python -m compileall -q engine sweeps  # once, and not in each of some hundred processes
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 3

test-all: $(READY) lint test-packages drivers-environment
	$(BIN)/python -m pytest -m ""

test-faults: $(READY)
	$(BIN)/python -m tests.campaign

soak: $(READY)
	$(BIN)/python -m tests.campaign.soak

test-slurm: $(READY) test-packages
	$(BIN)/python -m pytest -m "slurm or ssh" tests/cluster

test-drivers: $(READY) drivers-environment
	$(BIN)/python -m pytest -m drivers tests/drivers

drivers-environment: $(READY)
	@PYTHON="$(CURDIR)/$(BIN)/python" sh tests/drivers/environment.sh

test-packages:  # Debian's, where they are missing and root can install them
	@sh tests/packages.sh

fuzz: $(READY)
	$(BIN)/python tests/fuzz/campaign.py $(FUZZ)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry --no-ansi engine sweeps

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python -m tests.bench.overhead
	$(BIN)/python -m tests.bench.codesign
	$(BIN)/python -m tests.bench.macrospin
	$(BIN)/python -m tests.bench.lane

bench-peers: peers-environment
	.venv-peers/bin/python -m tests.bench.peers $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

peers-environment: $(READY)
	@PYTHON="$(CURDIR)/$(BIN)/python" sh tests/bench/peers/environment.sh

clean:
	rm -rf .venv .venv-peers .venv-drivers .venv-pymeasure build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
