# Everything runs in a virtual environment of its own, made on first use and again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench fuzz clean

.venv/.installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(subst +,$(comma),$*)]'
	touch $@

comma := ,

demo: .venv/.installed-demo+nudenet  ## hide the face in a public-domain portrait
	$(BIN)/python examples/demo.py demo

test: .venv/.installed-dev+nudenet+train+service lint  ## lint, types, tests and coverage
	$(BIN)/python -m pytest --cov

lint: .venv/.installed-dev+nudenet+train+service
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed-dev+nudenet  ## ours beside others, in one run: ARGS=--quick to try it
	$(BIN)/python benchmarks/bench.py $(ARGS)

fuzz: .venv/.installed-dev+nudenet  ## break pictures of every format and see what decoding does: ARGS="--seconds 600"
	$(BIN)/python benchmarks/fuzz.py $(ARGS)

clean:
	rm -rf .venv demo
