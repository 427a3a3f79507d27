# `make demo` and `make test` do all the set-up there is, on a machine with Python 3.10 or newer.
PYTHON ?= python3
VENV ?= .venv
RESTORE := $(VENV)/bin/restore
DATA ?= ../shared/data

.PHONY: demo test torture shapes lint scores scores-check diagnosed shown examples clean

demo: $(VENV)/installed
	$(RESTORE) sr --scale 4 examples/coffee_small.png -o examples/results/coffee_sr4x.png --overwrite
	$(RESTORE) denoise examples/chelsea_noisy.png -o examples/results/chelsea_denoised.png --overwrite
	@echo "Look at examples/results/coffee_sr4x.png (from examples/coffee_small.png)"
	@echo "and     examples/results/chelsea_denoised.png (from examples/chelsea_noisy.png)."

test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile

# Hostile files, bombs, full disks, kill -9, memory that runs out: `make torture OPTIONS=--without-large` leaves out the
# 400 megapixels, which take minutes and 15 GB of disk.
torture: $(VENV)/installed-test
	$(VENV)/bin/python -m tests.torture $(OPTIONS)

# Every published shape of the catalogue, through every task: two minutes (Restormer needs its extra).
shapes: $(VENV)/installed-test
	RESTORE_EVERY_SHAPE=1 $(VENV)/bin/python -m pytest tests/cli/test_architectures.py

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check restore_cli tests examples
	$(VENV)/bin/ruff format --check restore_cli tests examples
	$(VENV)/bin/mypy

scores: $(VENV)/installed-test
	$(VENV)/bin/python -m restore_cli.evaluation.scores --data $(DATA)/test

scores-check: $(VENV)/installed-test
	$(VENV)/bin/python -m restore_cli.evaluation.scores --data $(DATA)/test --check

diagnosed: $(VENV)/installed-test
	$(VENV)/bin/python -m restore_cli.evaluation.diagnosed --data $(DATA)

# What WNE, i-LN and the choice of pictures do, on small networks trained here: about half an hour on three cores.
SHOWN := shown-wne-plain shown-wne-wrapped shown-norm-layernorm shown-norm-scaled shown-norm-iln \
	shown-data-photos shown-data-both

shown: $(SHOWN:%=runs/%/checkpoint.pt)
	$(VENV)/bin/python -m restore_cli.evaluation.demonstrations --data $(DATA)

runs/%/checkpoint.pt: | $(VENV)/installed
	$(RESTORE) train $* --data $(DATA)/train

examples: $(VENV)/installed-test
	$(VENV)/bin/python examples/make_pictures.py

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed pyproject.toml
	$(VENV)/bin/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist examples/results
