# Each target sets up what it needs, in a virtual environment of its own: .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO ?= full
BACKENDS ?= tensorflow jax torch

# The demo's backend, if none is asked for: the one that was measured to be fastest on a CPU.
demo: export KERAS_BACKEND ?= jax

.PHONY: demo test lint benchmark notebooks clean

demo: $(VENV)/installed
	$(RUN) -m attnzoo demo --size $(DEMO) --output runs/demo

# In parts: TensorFlow keeps all that XLA compiles, 20 GB by the end of one whole run.
test: lint
	for backend in $(BACKENDS); do \
	  for part in tests/models/rnn_seq2seq "tests/models --ignore=tests/models/rnn_seq2seq" \
	      "tests --ignore=tests/models"; do \
	    echo "=== $$backend: $$part"; \
	    KERAS_BACKEND=$$backend OMP_NUM_THREADS=1 $(RUN) -m pytest -q \
	      -n 2 --dist loadfile --no-loadscope-reorder $$part || exit 1; \
	  done; \
	done

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

benchmark: $(VENV)/installed
	$(RUN) benchmarks/seq2seq.py

notebooks: $(VENV)/installed
	$(RUN) notebooks/run.py

# torch goes first and pinned: a plain `torch` brings gigabytes of CUDA libraries along.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs .pytest_cache .ruff_cache
