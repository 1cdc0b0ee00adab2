# Everything installs what is missing into .venv first; a fresh machine needs Linux, Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
# Most tests of searches wait, so three at a time are right for two cores; more cores: make test TEST_WORKERS=8
TEST_WORKERS ?= 3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A file's tests share its searches, so they stay together, in the order of the files.
SIDE_BY_SIDE := --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: search test test-all lint bench docs ui clean
.DEFAULT_GOAL := search

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11 search"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV) (PyTorch is large: minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable . $(shell $(PYTHON) -c 'import tomllib; g = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; print(*("\"" + r + "\"" for r in g["test"] + g["lint"]))')
	@touch $@

search: $(READY)
	@$(BIN)/kd-search run digits-quick --resume

test: $(READY)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-all: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		$(shell $(PYTHON) -c 'import tomllib; print(*("\"" + r + "\"" for r in tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["peers"]))')
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && \
		$(BIN)/python -m checks.docstrings && $(BIN)/python -m checks.house

bench: $(READY)
	@$(BIN)/python benchmarks/step.py --write
	@$(BIN)/python benchmarks/trial.py --epochs 5 --rounds 5 --write
	@$(BIN)/python benchmarks/members.py --write
	@$(BIN)/python benchmarks/task.py --write
	@$(BIN)/python benchmarks/function.py --write
	@$(BIN)/python benchmarks/overhead.py start --write
	@$(BIN)/python benchmarks/overhead.py trials --write
	@$(BIN)/python benchmarks/overhead.py nodes --write
	@$(BIN)/python benchmarks/whole_search.py --write
	@$(BIN)/python benchmarks/memory.py --write
	@$(BIN)/python benchmarks/data.py --write

docs: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		$(shell $(PYTHON) -c 'import tomllib; print(*("\"" + r + "\"" for r in tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["docs"]))')
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

ui: $(READY)
	@$(BIN)/kd-search ui

clean:
	rm -rf $(VENV)
