# Everything runs in a virtual environment of its own, made on first use and again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-lowest lint bench clean

.venv/.installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(subst +,$(comma),$*)]'
	touch $@

comma := ,

demo: .venv/.installed-demo+nudenet  ## hide the face in a public-domain portrait
	$(BIN)/python examples/demo.py demo

test: .venv/.installed-dev+nudenet+train+service lint  ## lint, types, tests and coverage
	$(BIN)/python -m pytest --cov

# Not with pip, which knows no way to the oldest; and on the oldest Python.
.venv-lowest/.installed: pyproject.toml .venv/.installed-dev+nudenet+train+service
	$(BIN)/uv venv --quiet --clear --python 3.11 .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
		--editable '.[dev,nudenet,train,service]'
	touch $@

test-lowest: .venv-lowest/.installed  ## the tests with the oldest releases that pyproject.toml allows
	.venv-lowest/bin/python -m pytest

lint: .venv/.installed-dev+nudenet+train+service
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed-dev+nudenet  ## ours beside others, in one run: ARGS=--quick to try it
	$(BIN)/python benchmarks/bench.py $(ARGS)

clean:
	rm -rf .venv .venv-lowest demo
