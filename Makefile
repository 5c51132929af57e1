# `make demo` and `make test` do all the set-up they need, and so do the others.
# test: style, then the suite without its long cases, minutes on two cores. test-all: every case, and many more generated ones.
# test-lowest: the suite with the lowest versions that requirements.txt allows. docs: the documentation as pages, site/index.html.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
SOURCES := bdd_inst tools tests examples docs/hooks.py
# Small torch operations slow down badly when idle threads spin.
export OMP_WAIT_POLICY := passive

.PHONY: demo test test-all test-lowest lint docs clean

$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "bdd_inst needs Python 3.10 or newer; try: make PYTHON=python3.11 ...")'
	@echo 'Setting up $(VENV): torch is large, this takes a few minutes once.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

# Renders street scenes in the BDD100K format, trains heads and then all layers on the CPU, evaluates, draws.
demo: $(VENV)/ready
	$(BIN)/bdd-inst demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' tests

test-all: lint
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n 2 --dist worksteal tests

# Over the ordinary environment, which lends torch and the test tools: only the versions in tests/lowest.txt are its own.
$(LOWEST)/ready: $(VENV)/ready tests/lowest.txt
	$(BIN)/python -m venv $(LOWEST)
	$(BIN)/python -c 'import pathlib, sys, sysconfig; own = pathlib.Path(sysconfig.get_path("purelib")); (pathlib.Path("$(LOWEST)") / own.relative_to(sys.prefix) / "ordinary.pth").write_text(f"import site; site.addsitedir({str(own)!r})")'
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/lowest.txt
	touch $@

test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal -m 'not slow' tests

lint: $(VENV)/ready
	$(BIN)/python -m ruff check $(SOURCES)
	$(BIN)/python -m ruff format --check $(SOURCES)

$(VENV)/docs: $(VENV)/ready pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

# Strict: a link that leads nowhere and a name that is not there are errors. The variable silences the theme's own news.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'site/index.html (with search: $(BIN)/python -m http.server -d site)'

clean:
	rm -rf $(VENV) $(LOWEST) output site
