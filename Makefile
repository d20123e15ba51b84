# make demo    train, measure and matte a photo in a few minutes
# make test    lint, types and tests
# make venv    only the set-up that both begin with
#
# PYTHON=python3.12 chooses the interpreter of the virtual environment.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo test venv lint clean

demo: venv
	$(BIN)/python -m experiments.demo.run

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

venv: $(STAMP)

$(STAMP): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[train,eval,compare,test]'
	touch $(STAMP)

clean:
	rm -rf .venv .cache runs
