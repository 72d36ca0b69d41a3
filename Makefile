# `make help` lists the targets. Each sets up what it needs, and says how when it may not.

.DEFAULT_GOAL := help
.PHONY: help build release test-install check-reproducible check-packages wasi-config demo test test-hosts test-wasi-hosts python test-python test-npm e2e test-applications docs fuzz bench bench-edge bench-ended bench-hosts bench-signatures bench-peers load load-sessions siege check-deploy lint clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

build: ## make the components and the program, in dist/
	@scripts/build.sh

check-packages: ## pack the crates that are published, and compile each from its package
	@scripts/check-packages.sh

wasi-config: ## make the components for hosts that have wasi:config, in dist/
	@scripts/build-component.sh --wasi-config

demo: ## run the edge, a provider and a sample application: open the URL and log in; LISTEN=HOST:PORT chooses another address
	@scripts/demo.sh

test: build ## run all tests but those in a browser
	@scripts/test.sh

test-hosts: build ## run the contract in every host, other proxies included
	@scripts/test-hosts.sh

test-wasi-hosts: build ## run the components for wasi:http in wasmtime serve and jco serve, and the examples
	@scripts/test-wasi-hosts.sh

release: build ## make what is published, in dist/release; ARCH=aarch64 adds it for ARM, LIBC=musl or glibc chooses the C library
	@scripts/release.sh

test-install: release ## install what is published where nothing else is, log in, and run the program confined; needs root
	@scripts/check-install.sh
	@$(if $(filter-out $(shell uname -m),$(ARCH)),,scripts/check-confined.sh "$$PWD/target/release-$$(uname -m)/vestibule")

check-reproducible: build ## build the components once more in another folder, and compare: about 6 minutes on 2 cores
	@scripts/check-reproducible.sh

python: ## make the Python package, in dist/
	@scripts/build-component.sh --steps
	@scripts/build-python.sh

test-python: ## install the Python package where nothing else is, and test it in uvicorn and hypercorn
	@scripts/build-component.sh --steps
	@scripts/test-python.sh

test-npm: ## install the npm package where nothing else is, and test it in Node
	@scripts/build-component.sh --steps
	@scripts/test-npm.sh

e2e: build ## run the tests against oidc-provider from npm and django-allauth from PyPI, and in Chromium
	@scripts/e2e.sh

test-applications: build ## run applications from PyPI and npm behind the edge, with the settings of docs/applications
	@scripts/test-applications.sh

docs: ## build the site of the documentation, in target/site
	@scripts/docs.sh

fuzz: ## fuzz the core; TARGET=one of fuzz/fuzz_targets, SECONDS=600 for each, KEEP=1 to renew fuzz/corpus
	@TARGET=$(TARGET) SECONDS_EACH=$(SECONDS) KEEP=$(KEEP) scripts/fuzz.sh

bench: build ## compare decisions in the component with the same core compiled natively
	@cargo bench --workspace --bench decision --quiet

bench-edge: build ## compare the edge with the same edge without a decision, and with a minimal Pingora
	@cargo bench --workspace --bench serving --quiet

bench-ended: build ## compare decisions without a list of ended sessions, with an empty one and with a full one
	@cargo bench --workspace --bench ended --quiet

bench-hosts: build ## compare every host with the same one without the login
	@scripts/bench-hosts.sh

bench-signatures: build ## compare the verification of signatures natively and in WebAssembly
	@scripts/bench-signatures.sh

bench-peers: build ## compare what the login costs in other proxies: Apache, Envoy, nginx
	@scripts/bench-peers.sh

load: build ## five minutes of mixed visitors while the configuration is replaced; SECONDS_OF_LOAD changes the time
	@scripts/load.sh $(SECONDS_OF_LOAD)

load-sessions: build ## five minutes of 5,000 sessions on two nodes, while Redis is killed twice and a node once; SECONDS_OF_LOAD and SESSIONS change it
	@scripts/check-redis.sh
	@cargo bench --workspace --bench sessions --quiet

siege: build ## three minutes of hostile clients against the default configuration: memory, processor, time, connections
	@cargo bench --workspace --bench siege --quiet

check-deploy: build ## validate the files of deploy/, and run their configurations
	@scripts/check-deploy.sh

lint: ## check formatting, lints, dependencies and documentation
	@scripts/lint.sh

clean: ## remove everything that was built
	rm -rf target dist e2e/node_modules e2e/wasi/node_modules e2e/applications/node_modules e2e/deploy/node_modules e2e/screenshots
