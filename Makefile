# What a newcomer needs: `make run` starts Posthouse, `make test` runs every test. README says more.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build console test test-crash torture fuzz lint format bench packages

DATA ?= posthouse-data
# A trial keeps every mail in the console's inbox until a posthouse.toml says otherwise.
SERVE = $(if $(wildcard posthouse.toml),--config posthouse.toml,)
TRIAL = $(if $(wildcard posthouse.toml),,POSTHOUSE__DELIVERY__ROUTE=$${POSTHOUSE__DELIVERY__ROUTE:-capture})

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: build ## build everything and start it on the unprivileged ports, data in ./posthouse-data
	@$(if $(wildcard posthouse.toml),,echo "No posthouse.toml here: mail is kept in the console's inbox (delivery.route = \"capture\") and nothing leaves this machine." ; \
	  echo "To deliver for real, write posthouse.toml with: [delivery] route = \"mx\"  (or \"smtp://HOST:PORT\")")
	@$(TRIAL) exec cargo run --quiet --release --package posthouse -- serve $(SERVE) --data $(DATA)

build: console ## console and release binary
	cargo build --release --package posthouse

# Built anew only when something of it changed: the release binary embeds it, and would be built anew as well.
console: console/dist/index.html

console/dist/index.html: console/node_modules/.package-lock.json docs/openapi.json $(shell find console/src console/public -type f -not -name schema.d.ts) \
  console/index.html console/package.json console/tsconfig.json console/vite.config.ts
	npm --prefix console run build

console/node_modules/.package-lock.json: console/package-lock.json
	npm ci --prefix console --no-audit --no-fund

tests/peers/node_modules/.package-lock.json: tests/peers/package-lock.json
	npm ci --prefix tests/peers --no-audit --no-fund

packages: ## Debian packages that the tests use, where they are missing
	tests/packages

test: packages console tests/peers/node_modules/.package-lock.json ## every test: Rust, console, real peers, a real browser
	tests/run

test-crash: packages ## kill -9 under load and restart, a hundred times
	POSTHOUSE_CRASH_ROUNDS=$${POSTHOUSE_CRASH_ROUNDS:-100} tests/run crash

MINUTES ?= 60

torture: packages ## load with random faults of every kind for an hour (MINUTES=60), ends with a proof sheet
	POSTHOUSE_TORTURE_SECONDS=$$(( $(MINUTES) * 60 )) tests/run torture

fuzz: ## each fuzz target for ten minutes
	fuzz/run

lint: console/node_modules/.package-lock.json ## formatting and lints, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	npm --prefix console run lint
	npm --prefix console run typecheck

format: console/node_modules/.package-lock.json ## put everything into shape
	cargo fmt --all
	npm --prefix console run format

bench: ## source -> Posthouse -> sink beside Postfix and Haraka, writes bench/RESULTS.md
	bench/run
