# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format

demo: .venv/.installed
	$(BIN)/autoseg demo

# Tests of one file stay in one process, so that what a file trains once is trained once.
test: .venv/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

check: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Installed again only when the requirements change; the checkout itself is linked, not copied.
.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e ".[test]"
	touch $@
