# The commands of everyday work. All of them run in a virtual environment that is made on first use
# from $(PYTHON) (3.9 or newer); each installs only what it needs, once. ARGS is handed on:
#   make demo ARGS="--address unix:///run/dnstap.sock"
#   make test ARGS="tests/framestream -x"
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

# The schema's compiler lives in an environment of its own: it brings a protobuf of its choice. The
# version is exact because `make check-proto` compares what it writes.
PROTO_VENV ?= .venv-proto
PROTO_COMPILER := grpcio-tools==1.76.0

BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo fleet-demo test test-slow test-all test-hours lint bench bench-append bench-faults bench-hostile bench-kafka performance endurance fuzz chaos storm docs proto check-proto clean
.DELETE_ON_ERROR:

help:
	@echo "make demo | fleet-demo | test | test-slow | test-all | test-hours | lint | bench | bench-append | bench-faults | bench-hostile | bench-kafka | performance | endurance | fuzz | chaos | storm | docs | proto | check-proto | clean"

demo: $(VENV)/.installed-demo
	$(BIN)/dnstap-logging demo $(ARGS)

# A broker and a database come with it, so it has an environment of its own, made from the newest
# Python that is found: for old ones they have no wheels.
FLEET_VENV ?= .venvs/fleet-demo
FLEET_PYTHON ?= $(or $(shell for minor in 14 13 12 11 10; do \
	python3.$$minor -c "" 2>/dev/null && echo python3.$$minor && break; done),$(PYTHON))

fleet-demo:
	@$(FLEET_PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("fleet-demo needs Python 3.10 or newer, $(FLEET_PYTHON) is " + sys.version.split()[0] + "; try make fleet-demo FLEET_PYTHON=python3.13")'
	@$(MAKE) --no-print-directory VENV=$(FLEET_VENV) PYTHON=$(FLEET_PYTHON) $(FLEET_VENV)/.installed-fleet-demo
	@$(FLEET_VENV)/bin/python examples/fleet/demo.py $(ARGS)

# So many processes at once, a file of tests in each: most of their time the tests wait for something
# to happen. 0: only this one, for -s and --pdb.
TESTERS ?= 4

# Compiled first, for the tests start a thousand interpreters. And pytest keeps what it has compiled
# of the tests: each of its processes would do it again, for ten seconds.
unexport PYTHONDONTWRITEBYTECODE
RUN_TESTS = $(BIN)/python -m compileall -q dnstap_logging tests && \
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile

# The tests that take long are left to CI (setup.cfg deselects them).
test: $(VENV)/.installed-test
	$(RUN_TESTS) $(ARGS)

test-slow: $(VENV)/.installed-test
	$(RUN_TESTS) -m "slow and not hours" $(ARGS)

test-all: $(VENV)/.installed-test
	$(RUN_TESTS) -m "not hours" $(ARGS)

# A collector that stands still for a minute and is gone for ten, a program that is killed a hundred
# times, in full: more than an hour.
test-hours: $(VENV)/.installed-test
	$(RUN_TESTS) -m hours -o faulthandler_timeout=1800 $(ARGS)

lint: $(VENV)/.installed-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/check_sizes.py

bench: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-faults: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks.emit_under_faults $(ARGS)

bench-hostile: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks.hostile $(ARGS)

bench-kafka: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks.kafka $(ARGS)

bench-append: $(VENV)/.installed-test
	$(BIN)/python -m tests.benchmarks.append $(ARGS)

# Two million records, ten million messages and so on: some hours. ARGS="file reader" for a part.
endurance: $(VENV)/.installed-test
	$(BIN)/python -m tests.situations.endurance $(ARGS)

# The figures, the table and the plots of docs/performance.md, measured again on a machine that does nothing else.
performance: $(VENV)/.installed-test $(VENV)/.installed-docs
	$(BIN)/python -m tests.benchmarks --json docs/performance.json $(ARGS)
	$(BIN)/python -m tests.benchmarks.page docs/performance.json docs/performance.md
	$(BIN)/python -m tests.benchmarks.plot docs/performance.json docs/images

# For so long; hypothesis runs the same promises as fuzz in the tests, and some seeds of chaos are there.
SECONDS ?= 60
SEED ?=

fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.situations.fuzz.fuzz_streams --seconds $(SECONDS) $(ARGS)

chaos: $(VENV)/.installed-test
	$(BIN)/python -m tests.situations.chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

# Tables: what happens when many senders come back to one collector. The same on every machine.
storm: $(VENV)/.installed-test
	@$(BIN)/python -m tests.storm $(ARGS)

# -E: read all pages again, or a page that has not changed would not repeat its warnings.
docs: $(VENV)/.installed-test $(VENV)/.installed-docs
	$(BIN)/python tools/draw_rooms.py
	$(BIN)/sphinx-build -E -W --keep-going -q -c docs . docs/_build
	$(BIN)/python -m pytest tests/docs $(ARGS)
	@echo "the manual: docs/_build/index.html"

proto: $(PROTO_VENV)/.installed-compiler
	$(PROTO_VENV)/bin/python tools/generate_proto.py

check-proto: $(PROTO_VENV)/.installed-compiler
	$(PROTO_VENV)/bin/python tools/generate_proto.py --check

clean:
	rm -rf $(VENV) $(PROTO_VENV) .venvs build dist docs/_build *.egg-info .coverage .coverage.* htmlcov
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps. .made is an environment that is whole; .installed-<extra> is that extra of setup.cfg in
# it. --clear removes what an earlier run left unfinished.
$(VENV)/.made $(PROTO_VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 9) or sys.exit("Python 3.9 or newer is needed, $(PYTHON) is " + sys.version + "; try make PYTHON=python3.9")'
	$(PYTHON) -m venv --clear $(@D)
	@touch $@

$(VENV)/.installed-%: $(VENV)/.made setup.cfg setup.py pyproject.toml
	$(BIN)/python $(PIP_INSTALL) --editable '.[$*]'
	@touch $@

$(PROTO_VENV)/.installed-compiler: $(PROTO_VENV)/.made Makefile
	$(PROTO_VENV)/bin/python $(PIP_INSTALL) '$(PROTO_COMPILER)'
	@touch $@
