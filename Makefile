# The commands of the project; `make help` lists them. Each command sets up what it requires.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CLUSTER ?= local
REGISTRY ?=
OBSERVE ?=
export CLUSTER REGISTRY OBSERVE
# Without bytecode, each process of the tests compiles the project again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
# Tests pick these up from PATH, as a user's shell would.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON_SOURCES := operator services dev tests
LAUNCHERS := $(filter-out dev/bootstrap dev/shopdev dev/tools,$(wildcard dev/*))
PYTEST := $(BIN)/pytest -p no:cacheprovider
BEGAN := $(shell date +%s)
TIMES := .dev/times-$(shell echo $$PPID)

# One stage at a time, also with -j: a stage that pays for it runs two processes itself, or three where tests mostly wait.
.NOTPARALLEL:

##@ Use it
.PHONY: demo
demo: .venv ## Run the shop on Kubernetes and place an order (OBSERVE=1 with traces and metrics; CLUSTER=current REGISTRY=… for your own cluster)
	$(BIN)/python dev/demo up

.PHONY: clean-demo
clean-demo: ## Remove everything that `make demo` created
	python3 dev/demo down

.PHONY: dev
dev: .venv ## Run the shop as local processes that reload on change, without Kubernetes
	$(BIN)/python dev/shop

.PHONY: load
load: .venv ## Browse and buy in the shop of `make dev` or `make demo` for a minute (CUSTOMERS=… SECONDS=…)
	dev/bootstrap load
	$(BIN)/python dev/load $(addprefix --customers=,$(CUSTOMERS)) $(addprefix --seconds=,$(SECONDS))

.PHONY: doctor
doctor: ## Check what the commands need on this machine (FOR="dev demo test bench" for some of them)
	@$(or $(PYTHON),python3) dev/doctor $(FOR)

##@ Check it
.PHONY: test
test: lint test-unit test-charts test-services test-integration test-delivery test-e2e ## Run all tests: lint, unit, contract, charts, services, integration, delivery, e2e
	$(call took,everything,$(BEGAN))
	@printf '\n'; cat $(TIMES); rm $(TIMES)

.PHONY: test-fast
test-fast: .venv ## Run the fastest tests, in about a minute
	$(PYTEST) -q -n 2 tests/operator tests/services tests/contract tests/dev -m "not emulator and not cluster and not helm and not slow"
	$(call took,fast tests)

.PHONY: lint
lint: .venv ## Run Ruff, mypy, the import contracts and the CloudFormation linter
	$(call stage,lint)
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/mypy operator/shop_operator services dev/shopdev tests
	$(BIN)/mypy --scripts-are-modules $(LAUNCHERS)
	PYTHONPATH=.:operator:dev $(BIN)/lint-imports
	$(BIN)/cfn-lint manifests/aws/*.yaml
	$(call took,lint)

.PHONY: bench
bench: .venv tools ## Measure the speed and memory of the operator, in about 15 minutes
	$(BIN)/python dev/bench shopservices

.PHONY: bench-large
bench-large: .venv tools ## Measure the operator with up to 10,000 ShopServices, in about 20 minutes
	$(BIN)/python dev/bench shopservices --large

.PHONY: bench-shop
bench-shop: .venv tools ## Measure CPU, memory and AWS calls of the shop, in about 20 minutes
	$(BIN)/python dev/bench shop

.PHONY: pictures
pictures: .venv ## Take the pictures of the documentation on the local node, in about 20 minutes
	$(BIN)/python dev/record docs/pictures/demo.svg make demo
	PICTURES=1 $(PYTEST) --timeout=900 tests/e2e/test_ui.py
	$(MAKE) load SECONDS=240 CUSTOMERS=4
	PICTURES=1 $(PYTEST) --timeout=900 tests/e2e/test_dashboard.py
	PICTURES=1 $(PYTEST) tests/services/storefront/test_browser.py
	$(BIN)/python dev/bench scaling

.PHONY: test-unit
test-unit: .venv helm
	$(call stage,unit and contract tests)
	$(PYTEST) -n 2 tests/operator tests/services tests/contract tests/dev -m "not emulator and not cluster"
	$(call took,unit and contract tests)

.PHONY: test-services
test-services: .venv
	$(call stage,services against the AWS emulator)
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder tests/services tests/contract tests/dev -m emulator
	$(call took,services against the AWS emulator)

.PHONY: soak
soak: .venv ## Place 20,000 orders while faults are injected, in about an hour (FAULT_ORDERS=… FAULT_SEED=…)
	FAULT_ORDERS=$${FAULT_ORDERS:-20000} $(PYTEST) -s tests/services/faults/test_faults.py

.PHONY: test-delivery
test-delivery: .venv tools
	$(call stage,delivery: every command of every pipeline)
	$(PYTEST) tests/delivery
	$(call took,delivery: every command of every pipeline)

.PHONY: test-charts
test-charts: .venv tools
	$(call stage,charts)
	$(PYTEST) -n 2 --dist loadfile tests/charts
	$(call took,charts)

.PHONY: test-integration
test-integration: .venv tools
	$(call stage,integration: real etcd and kube-apiserver)
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder tests/integration
	$(call took,integration: real etcd and kube-apiserver)

.PHONY: test-e2e
test-e2e: .venv
	$(call stage,e2e: a real node)
	$(PYTEST) --timeout=900 tests/e2e
	$(call took,e2e: a real node)

##@ Deliver one service (SERVICE=product, order, payment, shipping or storefront)
# The steps of the pipelines; see docs/how-to/deliver-continuously.md
DELIVERY_STEPS := image sbom scan push findings chart deploy smoke rollback
SERVICE ?=
DELIVERY ?=
export DELIVERY
.PHONY: $(DELIVERY_STEPS)
image: ## Build the image
sbom: ## Write the bill of materials of the image
scan: ## Fail on known vulnerabilities of its packages (SCAN_FLAGS=--offline-ok without network access)
push: ## Push the image and store its digest
findings: ## Wait for the scan of the registry
chart: ## Write the chart that deploys this digest
deploy: ## Install or upgrade the Helm release
smoke: ## Place an order in the shop
rollback: ## Restore the previous release
scan findings: DELIVERY_FLAGS = $(SCAN_FLAGS)
$(DELIVERY_STEPS): .venv
	$(BIN)/python dev/delivery $@ $(SERVICE) $(DELIVERY_FLAGS)

##@ Work on it
.PHONY: tools
tools: ## Build the pinned Go tools, once per version
	python3 dev/cluster tools

.PHONY: helm
helm:
	python3 dev/cluster tools helm3

.PHONY: images
images: .venv ## Build the images (and push them with REGISTRY=…)
	$(BIN)/python dev/demo images

.PHONY: plugin
plugin: .venv ## Build `kubectl shop` as a single file, dist/kubectl-shop
	$(BIN)/python dev/plugin

.PHONY: release
release: .venv helm ## Make the files of a release in dist/release-VERSION; a dry run (VERSION=1.2.3, PUBLISH=1 to publish, RELEASE_FLAGS=…)
	$(BIN)/python dev/release $(VERSION) $(if $(PUBLISH),--publish) $(RELEASE_FLAGS)

.PHONY: functions
functions: .venv ## Package the Lambda functions in .dev/functions
	$(BIN)/python dev/functions build

.PHONY: aws-deploy
aws-deploy: functions ## Deploy the CloudFormation stacks to AWS, or to AWS_ENDPOINT_URL
	$(BIN)/python dev/aws deploy

.PHONY: eks-install
eks-install: functions ## Install the shop on Amazon EKS: stacks, cluster, images, charts, API
	$(BIN)/python dev/eks

.PHONY: aws-delete
aws-delete: .venv ## Delete the CloudFormation stacks
	$(BIN)/python dev/aws delete

.PHONY: generate
generate: .venv ## Regenerate the CRD, install manifest, Kubernetes API types, chart READMEs and golden files
	$(BIN)/python dev/generate
	$(PYTEST) -q tests/operator --update-golden

.PHONY: docs
docs: .venv ## Build the documentation as a site, dist/docs-VERSION/index.html
	$(BIN)/python dev/docs

.PHONY: format
format: .venv ## Format the code
	$(BIN)/ruff check --fix-only --quiet $(PYTHON_SOURCES)
	$(BIN)/ruff format $(PYTHON_SOURCES)

.PHONY: lock
lock: .venv ## Pin the newest versions of all Python dependencies, with hashes
	cd requirements && for each in build operator services storefront local-aws awscli load dev plugin; do \
	  ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header $$each.in -o $$each.txt; done

.PHONY: clean
clean: clean-demo ## Remove the demo and the virtual environments
	rm -rf .venv .venv-awscli .venv-load .venv-local-aws .dev

.PHONY: help
help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

# Rebuilt by dev/bootstrap when a lock file changes.
.venv: requirements/dev.txt requirements/awscli.txt requirements/local-aws.txt operator/pyproject.toml
	dev/bootstrap
	@touch .venv

define stage
	@if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then printf '\n\033[1m== %s\033[0m (%s)\n' '$(1)' "$$(date -u +%H:%M:%S)"; \
	else printf '\n== %s (%s)\n' '$(1)' "$$(date -u +%H:%M:%S)"; fi
endef

# The last line of a stage. Make expands a whole recipe before it runs the first line, so $(shell date) is when the stage began.
define took
	@took=$$(($$(date +%s) - $(or $(2),$(shell date +%s)))); line=$$(printf '== %s: %d min %02d s' '$(1)' $$((took / 60)) $$((took % 60))); \
	printf '%s\n' "$$line"; $(if $(filter test,$(MAKECMDGOALS)),mkdir -p .dev; printf '%s\n' "$$line" >> $(TIMES))
endef
