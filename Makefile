# Two commands, each of which does all the set-up it needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Small torch operations slow down badly when idle threads spin.
export OMP_WAIT_POLICY := passive

.PHONY: demo test lint clean

$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "bdd_inst needs Python 3.10 or newer; try: make PYTHON=python3.11 ...")'
	@echo 'Setting up $(VENV): torch is large, this takes a few minutes once.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

# Renders street scenes in the BDD100K format, trains heads and then all layers on the CPU, evaluates, draws.
demo: $(VENV)/ready
	$(BIN)/bdd-inst demo

test: $(VENV)/ready
	$(BIN)/python -m ruff check bdd_inst tools tests
	$(BIN)/python -m pytest -n 2 tests

lint: $(VENV)/ready
	$(BIN)/python -m ruff check bdd_inst tools tests

clean:
	rm -rf $(VENV) output
