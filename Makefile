# Each target sets up what it needs, in a virtual environment of its own: .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO ?= full
BACKENDS ?= tensorflow jax torch
TESTS ?= tests
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# The demo's backend, if none is asked for: the one that was measured to be fastest on a CPU.
demo: export KERAS_BACKEND ?= jax

# What the next Keras is tried on.
NIGHTLY := .venv-nightly
SITE := -c 'import site; print(site.getsitepackages()[0])'
NIGHTLY_TESTS ?= tests/layers/test_masks.py tests/layers/rnn/test_encoder.py \
  tests/layers/attention/test_base.py tests/models/rnn_encoder/test_backbone.py

.PHONY: demo check test test-all test-nightly lint benchmark notebooks docs playground clean

demo: $(VENV)/installed
	$(RUN) -m attnzoo demo --size $(DEMO) --output runs/demo

# A look in a minute, while one works: lint, and the tests of layers and functions on the backend that
# runs them fastest.
check: lint
	KERAS_BACKEND=torch $(PYTEST) tests/test_imports.py tests/test_package.py tests/ops tests/layers

# All that must pass. TESTS=tests/layers BACKENDS=jax is a part of it.
test: lint
	for backend in $(BACKENDS); do \
	  echo "=== $$backend"; \
	  KERAS_BACKEND=$$backend $(PYTEST) --shared-by "$(BACKENDS)" $(TESTS) || exit 1; \
	done

# The same with nothing shared among backends, and what is slow.
test-all: lint
	for backend in $(BACKENDS); do \
	  echo "=== $$backend"; \
	  KERAS_BACKEND=$$backend $(PYTEST) --slow $(TESTS) || exit 1; \
	done

# With the next Keras. It may fail, and is not in CI. All but Keras is taken from $(VENV).
test-nightly: $(VENV)/installed
	$(RUN) -m venv --clear $(NIGHTLY)
	$(RUN) $(SITE) > "$$($(NIGHTLY)/bin/python $(SITE))/project.pth"
	$(NIGHTLY)/bin/python -m pip install --quiet --no-deps keras-nightly keras-hub-nightly
	-KERAS_BACKEND=$${KERAS_BACKEND:-jax} OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR) \
	  $(NIGHTLY)/bin/python -m pytest -q $(NIGHTLY_TESTS)

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

benchmark: $(VENV)/installed
	$(RUN) benchmarks/seq2seq.py

notebooks: $(VENV)/installed
	$(RUN) notebooks/run.py

# The pages, into docs/_build/html. A warning is an error.
docs: $(VENV)/installed-docs
	$(RUN) -m sphinx --quiet --fail-on-warning --keep-going --builder html \
	  --doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

# The page that runs models in the browser, with ONNX Runtime and the exported preset beside it.
PAGE := docs/_build/playground
playground: export KERAS_BACKEND ?= tensorflow

playground: $(VENV)/installed
	mkdir -p $(PAGE)
	cp -R docs/playground/. $(PAGE)
	cd $(PAGE) && npm install --no-audit --no-fund --no-package-lock
	$(RUN) docs/playground/build.py $(PAGE)

# torch goes first and pinned: a plain `torch` brings gigabytes of CUDA libraries along.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) $(NIGHTLY) runs docs/_build docs/api docs/cards docs/notebooks .pytest_cache \
	  .ruff_cache .mypy_cache
