# Everything happens in a virtual environment of this folder; nothing else on the machine is touched.
# `make VENV=elsewhere` puts it elsewhere, `make PYTHON=python3.12` picks the Python that makes it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test environment clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/installed ## Install specbuild here, train the radar nowcast and score it against extrapolation.
	$(BIN)/specbuild train specs/radar_nowcast.yaml

test: environment ## Run every check: style, types, the direction of imports, tests.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 3 --dist worksteal

environment: $(VENV)/installed-tests ## Install specbuild here with everything that the tests need.

clean: ## Remove the environment, caches and build products; runs stay.
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find specbuild tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable .
	@touch $@

$(VENV)/installed-tests: pyproject.toml $(VENV)/pyvenv.cfg
	$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) > /dev/null || { echo 'specbuild needs Python 3.11 or newer: there is no $(PYTHON)'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "specbuild needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) -V). Try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null \
		|| { echo '$(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)'; exit 1; }
	$(PYTHON) -m venv $(VENV)
