# Two commands matter: `make demo` and `make test`. Everything else is a part of them.
PYTHON := .venv/bin/python
NODE_BUILD := $(PYTHON) bitcoin-patch/build.py

.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint unit cpp-test functional vectors upstream-lint upstream-test upstream-check fuzz sanitized

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

.venv/.installed: setup.cfg pyproject.toml dev/bootstrap.sh
	dev/bootstrap.sh
	@touch $@

setup: .venv/.installed  ## Python environment with everything the tools and tests need

build: setup  ## patched bitcoind, bitcoin-cli and the C++ test binary
	$(NODE_BUILD)

demo: build  ## regtest network whose blocks are won by trained models
	$(PYTHON) -m regtest demo $(ARGS)

test: lint unit cpp-test functional  ## everything that must pass

lint: setup  ## patch series, style and types
	$(PYTHON) bitcoin-patch/check.py
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

unit: setup  ## Python unit tests
	OPENBLAS_NUM_THREADS=1 $(PYTHON) -m pytest -q $(ARGS)  # BLAS threads of several libraries spin against each other

cpp-test: build  ## C++ unit tests of the new files
	build/bitcoin-build/bin/test_podl --log_level=test_suite --report_level=short

functional: build  ## real nodes on regtest, with Bitcoin Core's test framework
	$(PYTHON) functional_tests/test_runner.py $(ARGS)

upstream-lint: setup  ## Bitcoin Core's linters on the patched tree
	$(PYTHON) bitcoin-patch/upstream_lint.py

upstream-check: setup  ## Bitcoin Core's own suites on the patched node, compared with the kept record
	$(PYTHON) bitcoin-patch/upstream_test.py --patched-only $(ARGS)

upstream-test: setup  ## the same on a plain build too, side by side (long; goes on where it stopped)
	$(PYTHON) bitcoin-patch/upstream_test.py $(ARGS)

fuzz: setup  ## fuzz targets under sanitizers, ten minutes each (long; goes on where it stopped)
	$(PYTHON) bitcoin-patch/fuzz.py $(ARGS)

SUPPRESSIONS := $(CURDIR)/build/bitcoin/test/sanitizer_suppressions
sanitized: export UBSAN_OPTIONS := suppressions=$(SUPPRESSIONS)/ubsan:print_stacktrace=1
sanitized: export LSAN_OPTIONS := suppressions=$(SUPPRESSIONS)/lsan
sanitized: export PODL_BUILD_DIR := $(CURDIR)/build/sanitized-build
sanitized: setup  ## C++ unit tests and functional tests under sanitizers (long)
	$(NODE_BUILD) --sanitized
	build/sanitized-build/bin/test_podl --report_level=short
	$(PYTHON) functional_tests/test_runner.py --timeout=7200 --timeout-factor=8 $(ARGS)

vectors: setup  ## write vectors/*.json anew from the Python reference
	$(PYTHON) -m dev.make_vectors
