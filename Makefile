# What a developer does with Rempart. Needs Rust (rustup reads rust-toolchain.toml), Go and make.

CARGO ?= cargo
LAB = --features lab --bin rempart-lab --

.DEFAULT_GOAL := help

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the main job on a real control plane (KEEP=1 leaves it running)
	$(CARGO) build --features lab --bins
	$(CARGO) run $(LAB) demo $(if $(KEEP),--keep)

.PHONY: test
test: lint ## Run every check and test, those on a real control plane too
	$(CARGO) test --all-features

.PHONY: bench
bench: ## Measure what Rempart costs: the core, plans from files, and a control plane beside one without it
	$(CARGO) bench --features lab --bench core -- --warm-up-time 1 --measurement-time 3
	$(CARGO) build --release --features lab --bins
	$(CARGO) run --release $(LAB) bench

.PHONY: chaos
chaos: ## Let everything go wrong for MINUTES (10), decided by SEED, and hold what must hold against it
	$(CARGO) build --features lab --bins
	$(CARGO) run $(LAB) chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

.PHONY: lint
lint: ## Check the format, and clippy without a warning
	$(CARGO) fmt --check
	$(CARGO) clippy --all-features --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt

.PHONY: crds
crds: ## Generate the custom resource definitions from src/api
	$(CARGO) run --bin rempart -- crds crds charts/rempart/files/crds

.PHONY: control-plane
control-plane: ## Build the control plane of the tests and the demo, if it is not cached
	$(CARGO) run $(LAB) binaries

.PHONY: schemas
schemas: ## Generate the schemas of what commands write, from src/report
	$(CARGO) run --bin rempart -- schemas docs/schemas
