# wsfleet. `make` or `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Which cluster `make demo` and `make e2e` use: local (brought up here, no Docker), kind, or current
# (the current kubeconfig context).
CLUSTER ?= local
# The mode of kube-proxy on the local cluster: iptables or nftables. Empty is that of the cluster, iptables for a new one.
PROXY_MODE ?=

BIN := bin
KUBERNETES := $(CURDIR)/$(BIN)/k8s
CONTROLLER_GEN := $(BIN)/tools/controller-gen
CRD_REF_DOCS := $(BIN)/tools/crd-ref-docs
KUSTOMIZE := $(BIN)/tools/kustomize
GOLANGCI_LINT := $(BIN)/tools/golangci-lint
KUBE_API_LINTER := $(BIN)/tools/kubeapilinter
# Packages whose tests need nothing but Go.
UNIT = $(shell go list ./api/... ./cmd/... ./controllers/... ./gateway/... ./hack/... ./internal/... ./test/architecture/... ./test/contract/... \
	| grep -v /gateway/broker/redis$$)
# Directories that hold Go code of ours.
SOURCES := api cmd controllers gateway hack internal test
COMMENTS := go run ./hack/comments -exceptions hack/comments/exceptions.txt $(SOURCES)
# Modules besides the product's own that hold Go code of ours.
MODULES := hack/localcluster hack/bench test/alerts

##@ The two commands

.PHONY: demo
demo: deps-cluster ## Bring up a fleet on a real Kubernetes and let two clients talk through it (CLUSTER=local|kind|current)
	go run ./hack/demo up --cluster $(CLUSTER) --proxy-mode "$(PROXY_MODE)"

.PHONY: test
test: deps-test assets npm-deps ## Prove the project right: unit, race, integration, SDKs; no cluster of one's own needed
	@# With empty caches test/recipes compiles the tree twice.
	KUBEBUILDER_ASSETS=$(KUBERNETES) go test -race -timeout 20m ./...
	@echo "== the integration tests on the oldest Kubernetes that is supported"
	KUBEBUILDER_ASSETS=$(KUBERNETES) TEST_ASSET_KUBE_APISERVER=$(KUBERNETES)/oldest/kube-apiserver go test -timeout 20m ./test/integration
	@# Their tests build and run programs of the product, which the cache of go test does not see.
	for module in $(MODULES); do echo "== $$module"; go -C $$module test -count=1 ./...; done

##@ Fast loop

.PHONY: unit
unit: ## Run the tests that need no servers and no root: a minute with a warm build cache
	go test $(UNITFLAGS) $(UNIT)

.PHONY: check
check: ## What a commit should pass, in about two minutes: formatting, comments, vet, unit tests
	@test -z "$$(gofmt -l $(SOURCES))" || { echo "not formatted: run make fmt:"; gofmt -l $(SOURCES); exit 1; }
	$(COMMENTS)
	go vet -tags e2e ./...
	$(MAKE) unit

.PHONY: golden
golden: ## Rewrite all golden files and the generated parts of the documentation; review the diff before you commit it
	hack/golden.sh $(MODULES)

##@ Cluster

.PHONY: demo-down
demo-down: ## Remove all that `make demo` brought up
	go run ./hack/demo down --cluster $(CLUSTER)

.PHONY: e2e
e2e: deps-cluster ## Run the fleet tests on a cluster of their own (CLUSTER=local|kind|current, KEEP=1 leaves it up)
	CLUSTER=$(CLUSTER) KEEP=$(KEEP) PROXY_MODE=$(PROXY_MODE) hack/e2e.sh

.PHONY: e2e-nodes
e2e-nodes: deps-cluster ## Run only the fleet tests that drain a node and let one die, on a local cluster with two nodes (KEEP=1)
	CLUSTER=local NODES=2 E2E_RUN='^TestNode' KEEP=$(KEEP) PROXY_MODE=$(PROXY_MODE) hack/e2e.sh

.PHONY: e2e-fleet
e2e-fleet: deps-cluster ## Change a fleet on two nodes in all ways and print what its clients noticed, 30 minutes (SHORT=1, KEEP=1)
	KEEP=$(KEEP) SHORT=$(SHORT) FLAGS="$(FLAGS)" hack/fleettest.sh

.PHONY: adapters
adapters: deps-cluster ## Let KEDA and prometheus-adapter scale fleets on a local cluster, 6 minutes; an hour to build them first (RUN=test, KEEP=1)
	KEEP=$(KEEP) RUN=$(RUN) hack/adapters.sh

.PHONY: install
install: $(KUSTOMIZE) ## Install the CRD and the operator into the current kubeconfig context
	$(KUSTOMIZE) build config/default | kubectl apply --server-side -f -

.PHONY: uninstall
uninstall: $(KUSTOMIZE) ## Remove every WebSocketCluster, the operator and the CRD from the current context
	@# The operator lets fleets with a managed Redis go, so they go first.
	@! kubectl get crd websocketclusters.wsfleet.dev >/dev/null 2>&1 || kubectl delete websocketclusters --all --all-namespaces
	$(KUSTOMIZE) build config/default | kubectl delete --ignore-not-found -f -

##@ Build

.PHONY: build
build: ## Build the binaries into bin/, and link the plugin of kubectl to wsfleet
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/wsfleet-operator ./cmd/operator
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/wsfleet-gateway ./cmd/gateway
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/wsfleet ./cmd/wsfleet
	ln -sf wsfleet $(BIN)/kubectl-wsc
	ln -sf wsfleet $(BIN)/kubectl_complete-wsc

.PHONY: docker
docker: ## Build the images wsfleet/operator and wsfleet/gateway with Docker
	for target in operator gateway; do docker build --target $$target --build-arg VERSION=$(VERSION) -t wsfleet/$$target:$(VERSION) .; done

.PHONY: installer
installer: $(KUSTOMIZE) ## Write dist/install.yaml, all that a cluster needs in one file
	mkdir -p dist
	$(KUSTOMIZE) build config/default > dist/install.yaml
	@echo "dist/install.yaml: $$(grep -c '^kind:' dist/install.yaml) objects"

.PHONY: clean
clean: ## Remove what was built here
	rm -rf $(BIN) dist

##@ Develop

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Regenerate deep copies
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...

.PHONY: manifests
manifests: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Regenerate the CRD, its reference and the operator's role
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	@# Only the package with the markers: controller-gen hides generated code, without which the metrics API does not compile.
	$(CONTROLLER_GEN) rbac:roleName=wsfleet-operator paths=./controllers output:rbac:artifacts:config=config/rbac
	$(CRD_REF_DOCS) --log-level ERROR --source-path api/v1alpha1 --config hack/apidocs.yaml --renderer markdown --output-path docs/websocketcluster.md

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code
	$(GOLANGCI_LINT) fmt ./...
	for module in $(MODULES); do (cd $$module && $(CURDIR)/$(GOLANGCI_LINT) fmt -c $(CURDIR)/.golangci.yaml ./...); done

.PHONY: lint
lint: $(GOLANGCI_LINT) $(KUBE_API_LINTER) verify ## Check style, comments, generated files and modules
	$(COMMENTS)
	$(KUBE_API_LINTER) ./api/...
	$(GOLANGCI_LINT) run ./...
	for module in $(MODULES); do (cd $$module && $(CURDIR)/$(GOLANGCI_LINT) run -c $(CURDIR)/.golangci.yaml ./...); done

.PHONY: verify
verify: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Fail when generated files or go.mod are not what the sources say
	hack/verify.sh $(MODULES)

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (FUZZ=directories, default all)
	hack/fuzz.sh $(FUZZTIME) $(FUZZ)

SOAK ?= 10m
.PHONY: soak
soak: ## Let a gateway with the race detector go through everything clients do, for SOAK; nothing of it may be left
	SOAK=$(SOAK) go test -count=1 -timeout 0 -v ./test/soak

.PHONY: interop
interop: deps-interop npm-deps ## Let all client stacks meet gateways behind HAProxy, and rewrite the tables of docs/clients.md (INTEROP="name;name")
	INTEROP="$(or $(INTEROP),all)" go test -count=1 -timeout 20m ./test/interop -update

LOSS ?= 2m
.PHONY: loss
loss: deps-redis ## Count messages for LOSS while gateways are killed and connections cut: none may be lost, or come twice
	LOSS=$(LOSS) go test -count=1 -timeout 0 -v ./test/loss

.PHONY: bench
bench: deps-redis build ## Measure the gateway against a floor and print the table (BENCH="--quick --rows idle")
	CGO_ENABLED=0 go -C hack/bench build -trimpath -o $(CURDIR)/$(BIN)/ ./...
	$(BIN)/bench $(BENCH)

COMMIT ?= 85d6a07
.PHONY: bench-baseline
bench-baseline: deps-redis build ## Measure this build against that of COMMIT and say whether the ranges of the rounds overlap (BENCH="--rounds 1")
	CGO_ENABLED=0 go -C hack/bench build -trimpath -o $(CURDIR)/$(BIN)/ ./...
	hack/baseline.sh $(COMMIT) $(BIN)/baseline
	$(BIN)/bench --rows idle,fanout-1,fanout-16,storm --targets memory,baseline-memory,redis,baseline-redis \
		--baseline $(BIN)/baseline --output $(BIN)/bench-baseline $(BENCH)

.PHONY: bench-operator
bench-operator: assets build ## Measure the operator beside that of COMMIT: 10 to 1,000 clusters, tenants, Secrets (BENCH="--sizes 10,3000")
	CGO_ENABLED=0 go -C hack/bench build -trimpath -o $(CURDIR)/$(BIN)/ ./...
	hack/baseline.sh $(COMMIT) $(BIN)/baseline
	$(BIN)/bench-operator --baseline $(BIN)/baseline $(BENCH)

.PHONY: release-check
release-check: deps-redis ## What a release should pass besides .ci/run, two hours at most: other systems, autoscalers, long fuzzing, loss and soak tests
	go mod verify
	for system in linux/arm64 darwin/arm64; do \
		echo "== vet for $$system"; GOOS=$${system%/*} GOARCH=$${system#*/} CGO_ENABLED=0 go vet ./api/... ./cmd/... ./controllers/... ./gateway/... ./internal/...; done
	$(MAKE) adapters CLUSTER=local
	$(MAKE) fuzz FUZZTIME=1m
	$(MAKE) loss LOSS=10m
	$(MAKE) soak SOAK=10m

##@ What the others need (they call these themselves)

.PHONY: deps-cluster
deps-cluster: # Debian packages of the local cluster, and of the images made here (redis-server goes into one)
	@case "$(CLUSTER)" in local) hack/install-deps.sh build cluster redis;; kind) hack/install-deps.sh build redis;; esac

.PHONY: deps-redis
deps-redis: # Debian packages of the benchmark and of the loss test
	@hack/install-deps.sh build redis

.PHONY: deps-test
deps-test: # Debian packages of the tests
	@hack/install-deps.sh build redis node browser interop
	@hack/proxies.sh

.PHONY: deps-interop
deps-interop: # Debian packages of all client stacks
	@hack/install-deps.sh build redis node browser interop stacks

.PHONY: npm-deps
npm-deps: # npm packages of the SDK tests, of the conformance suite and of the client stacks
	@hack/npm-ci.sh test/sdk
	@hack/npm-ci.sh test/interop
	@hack/npm-ci.sh test/conformance

.PHONY: assets
assets: $(BIN)/localcluster # kube-apiserver, the newest and the oldest that is supported, and etcd for the integration tests
	$(BIN)/localcluster binaries kube-apiserver etcd kubectl oldest/kube-apiserver

.PHONY: $(BIN)/localcluster
$(BIN)/localcluster:
	@go -C hack/localcluster build -o $(CURDIR)/$@ .

$(BIN)/tools/%: hack/tools/go.mod hack/tools/go.sum
	@echo "building $*"
	@mkdir -p $(@D)
	@package=$$(go -C hack/tools list -f '{{.ImportPath}}' tool | grep -E "/$*(/v[0-9]+)?$$") && CGO_ENABLED=0 go -C hack/tools build -o $(CURDIR)/$@ $$package

$(KUBE_API_LINTER): hack/tools/kubeapilinter/main.go

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
