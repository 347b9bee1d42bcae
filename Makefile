# What there is to do in this checkout. Each target installs what it needs and the machine lacks (Debian packages; as
# root, or through sudo), so that `make demo` and `make test` work on a fresh machine.

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak fmt

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build Kiln, and with it a small C project in a fresh container
	@scripts/setup demo
	@scripts/demo

test: ## Run the whole test suite in its quick form
	@scripts/setup test
	@scripts/test

lint: ## Check formatting, run the linters, compare generated files with their sources
	@scripts/setup lint
	@scripts/lint

bench: ## Measure Kiln against its peers, and print the ratios
	@scripts/setup bench
	@bench/run

soak: ## Run the test suite in its long form
	@scripts/setup test bench
	@scripts/soak

fmt: ## Format the Rust code
	@scripts/setup lint
	@cargo fmt --all
