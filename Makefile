# What a developer does with Rempart. Needs Rust (rustup reads rust-toolchain.toml), Go and make.

CARGO ?= cargo
LAB = --package rempart-lab --

.DEFAULT_GOAL := help

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the main job on a real control plane (KEEP=1 leaves it running)
	$(CARGO) build --workspace --bins
	$(CARGO) run $(LAB) demo $(if $(KEEP),--keep)

.PHONY: recording
recording: ## Record the demo as the picture that the README shows
	$(CARGO) build --workspace --bins
	$(CARGO) run $(LAB) record docs/demo.svg

.PHONY: test
test: lint deny book ## Run every check and test, those on a real control plane too
	$(CARGO) test --workspace

# A tool and no dependency: nothing of it is in what is shipped, nor in Cargo.lock.
MDBOOK_VERSION = 0.5.4
MDBOOK = target/tools/$(MDBOOK_VERSION)/bin/mdbook

$(MDBOOK):
	$(CARGO) install mdbook --version $(MDBOOK_VERSION) --locked --no-default-features --root target/tools/$(MDBOOK_VERSION) \
		--target-dir target/tools/build

.PHONY: book
book: $(MDBOOK) ## Build the book of docs/ into target/book (builds mdBook, once)
	$(MDBOOK) build 2> target/book.log; status=$$?; cat target/book.log >&2; \
		test $$status -eq 0 && ! grep -E 'WARN|ERROR' target/book.log

# A tool likewise. It reads text for seconds, so that it is built for soon rather than for fast.
DENY_VERSION = 0.20.2
DENY = target/tools/$(DENY_VERSION)/bin/cargo-deny

$(DENY):
	CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		$(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --root target/tools/$(DENY_VERSION) \
		--target-dir target/tools/build

.PHONY: deny
deny: $(DENY) ## Check licences, banned crates and sources of dependencies by deny.toml (builds cargo-deny, once)
	$(DENY) --log-level error check --hide-inclusion-graph licenses bans sources

.PHONY: advisories
advisories: $(DENY) ## Check dependencies against the RustSec advisories, which it fetches from github.com
	$(DENY) --log-level error check --hide-inclusion-graph advisories

# A binary that needs nothing of the system that it runs on, the same wherever it is built.
STATIC_TARGET = x86_64-unknown-linux-gnu
STATIC_FLAGS = -C target-feature=+crt-static -C strip=symbols --remap-path-prefix=$(CURDIR)=/rempart \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
STATIC_BINARY = target/$(STATIC_TARGET)/release/rempart
IMAGE = --package rempart-image --

.PHONY: static-binary
static-binary:
	RUSTFLAGS="$(STATIC_FLAGS)" $(CARGO) build --release --locked --target $(STATIC_TARGET) --package rempart --bin rempart

.PHONY: image
image: static-binary ## Make the container image, as an archive, and its bill of materials, without a container engine
	$(CARGO) run $(IMAGE) archive --binary $(STATIC_BINARY) \
		--created $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct)) --revision $(shell git rev-parse HEAD) \
		target/image/rempart.tar
	$(CARGO) run $(IMAGE) bill-of-materials target/image/rempart.cdx.json

.PHONY: image-root
image-root: static-binary
	$(CARGO) run $(IMAGE) root --binary $(STATIC_BINARY) target/image/files

.PHONY: versions
versions: ## Try admission on every version of Kubernetes that Rempart takes (builds an API server of each, once)
	$(CARGO) test --test cluster -- --ignored admission-

.PHONY: bench
bench: ## Measure what Rempart costs: the core, plans from files, and a control plane beside one without it
	$(CARGO) bench --bench core -- --warm-up-time 1 --measurement-time 3
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release $(LAB) bench

.PHONY: chaos
chaos: ## Let everything go wrong for MINUTES (10), decided by SEED, and hold what must hold against it
	$(CARGO) build --workspace --bins
	$(CARGO) run $(LAB) chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

.PHONY: seeds
seeds: ## Run the operator itself against a simulated API server, SEEDS times (10000), each as its seed decides
	$(CARGO) run --release --package rempart-dst -- --seeds $(or $(SEEDS),10000) --from $(or $(FROM),0)

.PHONY: explore
explore: ## Explore every order of events in small worlds, by the code that decides about moves
	$(CARGO) run --package rempart-explore

.PHONY: lint
lint: ## Check the format, clippy without a warning, and that the core builds without std of its own or of others
	$(CARGO) fmt --all --check
	$(CARGO) check --package rempart-core
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: crds
crds: ## Generate the custom resource definitions from src/api
	$(CARGO) run --package rempart -- crds crds charts/rempart/files/crds

.PHONY: control-plane
control-plane: ## Build the control plane of the tests and the demo, if it is not cached
	$(CARGO) run $(LAB) binaries

.PHONY: admission
admission: ## Generate the chart's mutations from src/admission
	$(CARGO) run --package rempart -- admission-policies charts/rempart/files/admission

.PHONY: manifests
manifests: ## Generate from the charts their tables, and deploy/manifests for those who do without Helm
	$(CARGO) run $(LAB) chart

.PHONY: schemas
schemas: ## Generate the schemas of what commands write, from src/report
	$(CARGO) run --package rempart -- schemas docs/schemas
