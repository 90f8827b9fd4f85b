# Two commands for everyone: `make demo` and `make test`. Both prepare what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test setup packages lint types unit netns bench fast-path conformance clean

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup $(VENV)
	@touch $(STAMP)

packages:
	@scripts/packages

demo: setup packages
	@$(BIN)/mcoa demo $(ARGS)

test: setup packages lint types unit netns

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -m "not netns" $(ARGS)

netns: setup packages
	@scripts/netns $(BIN)/python $(ARGS)

bench: setup
	@$(BIN)/mcoa bench signalling $(ARGS)
	@$(BIN)/mcoa bench dataplane $(ARGS)

# The programs that run in the kernel; needed only after a change of their source.
fast-path: packages
	@scripts/fast-path

# Which requirement is shown by which test: docs/conformance.md and conformance.json.
conformance: setup packages
	$(BIN)/python -m pytest -m requirement --conformance $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
