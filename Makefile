# Two commands do everything on a machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test test-power test-postgres test-radio security frauds simulate soak kill fuzz crash model check vectors format bench clean

demo: $(STAMP)
	$(BIN)/dualtap demo

# One process more than there are cores: a fifth of the time tests wait for links and for servers.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

test: $(STAMP)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

# The same stories as in `make test`, all of them: every second cut, longer lives, more worlds.
test-power: $(STAMP)
	DUALTAP_POWER=1 DUALTAP_PROMISES=80x45 DUALTAP_WORLDS=300 $(BIN)/pytest -n auto --dist worksteal \
		tests/scenarios/test_power_cut.py tests/property/test_promises.py tests/property/test_settlement.py

# What else is needed (pcscd, vpcd, OpenSC, pcsc-tools, a compiler for pyscard) is in .ci/run. Most of it waits.
test-radio: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[pcsc]'
	$(BIN)/pytest -n 3 --dist loadgroup tests/radio

# What else is needed (PostgreSQL 15 or later) is in .ci/run; each test process starts a server of its own.
test-postgres: $(STAMP)
	$(BIN)/pytest -n auto tests/postgres

# What takes long of tests/security, and whether a comparison's time tells a secret. Figures: SECURITY.md.
security: $(STAMP)
	$(BIN)/pytest -n auto -rP tests/security tests/security/heavy
	$(BIN)/python benchmarks/constant_time.py

# A hundred thousand statements with a hundred frauds among them, on SQLite and on PostgreSQL (see test-postgres).
frauds: $(STAMP)
	DUALTAP_FRAUDS=25x4000x4 $(BIN)/pytest -n 2 -rP tests/scenarios/test_planted.py tests/postgres/test_planted.py

# A hostile world in a box: how much of it is up to these, and to how many cores there are.
SEEDS ?= 1-1000
REAL_SEEDS ?= 1-100
REAL_TAPS ?= 2000
STRIDE ?= 4
MINUTES ?= 10
SUITE ?= stub

simulate: $(STAMP)
	$(BIN)/dualtap simulate --exhaustive --stride $(STRIDE) --json
	$(BIN)/dualtap simulate --runs $(SEEDS) --taps 1 --twice --json
	$(BIN)/dualtap simulate --runs $(REAL_SEEDS) --taps $(REAL_TAPS) --suite p256 --json

# New seeds for so many minutes, half of taps, half of fuzz targets; what they come to is added to a kept file.
soak: $(STAMP)
	-$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python fuzz/soak.py fuzz/tally.json --minutes $(MINUTES) --suite $(SUITE)

# Seeded bugs, and which life finds each.
kill: $(STAMP)
	$(BIN)/python -m dualtap_testing.killing

# What else is needed (Java) is in .ci/run.
model: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[model]'
	$(BIN)/python fuzz/model/run.py
	$(BIN)/python -m model.replay

# Executions among all targets; each has its share. Where Atheris does not install, a plain mutator runs.
RUNS ?= 1000000
fuzz: $(STAMP)
	-$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python fuzz/run.py --runs $(RUNS)

# States of the ledger's file after a power cut.
crash: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[crash]'
	$(BIN)/python fuzz/crash/run.py

# These tests reach all of the core between them; the long stories are told once, in `make test`.
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/pytest -n auto --cov --cov-report=term tests/unit tests/vectors tests/scenarios/attacks

vectors: $(STAMP)
	$(BIN)/python -m dualtap_conform.files protocol/vectors

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/dualtap bench tap
	$(BIN)/dualtap bench import
	$(BIN)/dualtap bench radio
	$(BIN)/dualtap bench issuer

clean:
	rm -rf $(VENV)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
