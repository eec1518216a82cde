# Python 3.11 or newer and make are all that is needed; everything else comes into .venv.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The component works with two major releases of the openai client; this one stands beside the environment's own.
OTHER_OPENAI := openai==2.54.0
OTHER_OPENAI_DIR := $(abspath $(VENV))/openai-2

# axe-core comes with the wheel of its Playwright binding, whose dependencies are not needed.
AXE := axe-playwright-python==0.1.8

# Many tests wait for a server or a child more than they calculate.
WORKERS ?= 3

.PHONY: doctor test test-lowest test-newest release-check soak lint types docs site bench bench-auth bench-hf bench-txtai bench-models bench-scan bench-triage format clean

doctor: $(VENV)/.installed  ## reproduce the catalogued faults and show that the components have none, offline
	$(BIN)/alwrity-doctor reproduce

test: $(VENV)/.installed-test $(VENV)/.installed-openai-2 $(VENV)/.installed-axe  ## run every test
	OPENAI_OTHER_RELEASE=$(OTHER_OPENAI_DIR) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-lowest: $(VENV)/lowest/.installed  ## run the quick core of the tests with the oldest releases that the bounds allow
	$(VENV)/lowest/bin/python -m pytest -p no:cacheprovider -n 2 --dist loadfile @tests/release/lowest.txt

test-newest: $(VENV)/newest/.installed  ## run every test with whatever the index has, whether it was recorded or not
	$(VENV)/newest/bin/python -m pytest -p no:cacheprovider -n $(WORKERS) --dist loadfile

release-check: $(VENV)/.installed-test  ## install the wheel where nothing else is, measure it, and try it there
	$(BIN)/python -m tests.release.check

soak: $(VENV)/.installed-test  ## run for long what `make test` runs for a moment: kills, random walks, everything at once
	TXTAI_KILLS=300 TXTAI_MACHINE_EXAMPLES=1500 TXTAI_POSTGRES_KILLS=50 TXTAI_POSTGRES_EXAMPLES=200 \
		$(BIN)/python -m pytest tests/txtai/test_store_kill.py tests/txtai/test_store_machine.py \
		tests/txtai/test_postgres_kill.py tests/txtai/test_postgres_contract.py
	TXTAI_OPERATIONS=100000 $(BIN)/python -m benchmarks.txtai mix

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test  ## check the types, and that no name is used which Windows or macOS does not have
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 alwrity_doctor checks
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin alwrity_doctor checks

docs: $(VENV)/.installed-test  ## compare what is made from the code with the code
	$(BIN)/python -m alwrity_doctor.rulebook --check
	$(BIN)/python -m alwrity_doctor.cli.manual --check
	$(BIN)/alwrity-doctor tracker check

site: $(VENV)/.installed-test  ## build the site of the documentation into build/site
	$(BIN)/python -m mkdocs build --strict

bench: $(VENV)/.installed-test  ## measure every room, or with ROOM=auth one anew, into docs/benchmarks.md
	$(BIN)/python -m benchmarks $(ROOM)

bench-auth: $(VENV)/.installed-test  ## measure the verifier beside its peers
	$(BIN)/python -m benchmarks.auth

bench-hf: $(VENV)/.installed-test  ## measure probe and generator beside the historical provider and the bare client
	$(BIN)/python -m benchmarks.hf

# Chroma and Qdrant are no dependencies: TXTAI_PEERS names a directory made by pip install --target DIR chromadb qdrant-client
bench-txtai: $(VENV)/.installed-test  ## measure the semantic index beside its peers
	$(BIN)/python -m benchmarks.txtai

# The peers are no dependencies: MODELS_PEERS names a directory made by pip install --target DIR, see benchmarks/models.py
bench-models: $(VENV)/.installed-test  ## measure local models, their plan and their start beside their peers
	$(BIN)/python -m benchmarks.models

bench-scan: $(VENV)/.installed-test  ## measure the scan of a checkout beside its peers
	$(BIN)/python -m benchmarks.scan

# Drain3 is no dependency: TRIAGE_PEERS names a directory made by pip install --target DIR drain3; RIPGREP may name a ripgrep
bench-triage: $(VENV)/.installed-test  ## measure the triage of a log beside its peers
	$(BIN)/python -m benchmarks.triage

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m alwrity_doctor.rulebook
	$(BIN)/python -m alwrity_doctor.cli.manual

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/lowest/.installed: pyproject.toml constraints-lowest.txt tests/release/lowest.in | $(VENV)/bin/python
	rm -rf $(VENV)/lowest
	$(BIN)/python -m venv $(VENV)/lowest
	$(VENV)/lowest/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints-lowest.txt \
		--requirement tests/release/lowest.in --editable '.[adopt,fast,fastapi,fleet,health,hf,zstd]'
	@touch $@

$(VENV)/newest/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	rm -rf $(VENV)/newest
	$(BIN)/python -m venv $(VENV)/newest
	grep '^torch==' constraints.txt > $(VENV)/newest/constraints.txt
	$(VENV)/newest/bin/python -m pip --disable-pip-version-check --quiet install --upgrade \
		--constraint $(VENV)/newest/constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/.installed-openai-2: Makefile constraints.txt | $(VENV)/.installed-test
	rm -rf $(OTHER_OPENAI_DIR)
	grep -v '^openai==' constraints.txt > $(VENV)/constraints-openai-2.txt
	$(PIP) install --target $(OTHER_OPENAI_DIR) --constraint $(VENV)/constraints-openai-2.txt '$(OTHER_OPENAI)'
	@touch $@

$(VENV)/.installed-axe: Makefile | $(VENV)/.installed-test
	rm -rf $(VENV)/axe
	$(PIP) install --no-deps --target $(VENV)/axe '$(AXE)'
	@touch $@
