# make demo         measure the bundled weights, matte a photo, make a picture
# make demo-train   the same with weights trained first, in a few minutes
# make test         lint, types and tests
# make venv         only the set-up that all begin with
#
# PYTHON=python3.12 chooses the interpreter of the virtual environment.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo demo-train test venv lint clean

demo: venv
	$(BIN)/python -m experiments.demo.run

demo-train: venv
	$(BIN)/python -m experiments.demo.run --train

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
