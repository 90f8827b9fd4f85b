# Two commands for everyone: `make demo` and `make test`. Both prepare what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PYTHONDONTWRITEBYTECODE :=

# What a kernel for desktops or routers may have loaded, and answers with.
TUNNEL_MODULES := ip6_tunnel tunnel6 ip6_gre sit tunnel4 ipip ip_gre fou fou6 mip6 \
	esp4 esp6 xfrm_user xfrm6_tunnel
ANY_KERNEL := $(BIN)/python -m pytest -p no:cacheprovider -m netns tests/netns/daemon/test_any_kernel.py

.PHONY: demo test setup packages lint types unit netns test-debian-kernel bench fast-path conformance clean

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup $(VENV)
	@touch $(STAMP)

packages:
	@scripts/packages

demo: setup packages
	@$(BIN)/mcoa demo $(ARGS)

test: setup packages lint types unit netns test-debian-kernel

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

# The daemons on Debian's own kernel, without and with all that it has for tunnels and IPsec.
ifeq ($(shell uname -m),x86_64)
test-debian-kernel: setup packages
	@scripts/debian-kernel -t 1200 $(ANY_KERNEL) $(ARGS)
	@scripts/debian-kernel -t 1200 -m "$(TUNNEL_MODULES)" $(ANY_KERNEL) $(ARGS)
else
test-debian-kernel:
	@echo "test-debian-kernel: skipped: Debian has user-mode Linux for x86-64 alone"
endif

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
