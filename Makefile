# What contributors run. "make help" lists it. Go is all it needs.
FUZZTIME ?= 10s

.PHONY: all help build test ci lint fuzz bench docs diet

all: build lint test ## build, lint, test: what to run before a commit

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 8

build: ## compile everything
	go build ./...

test: ## vet and test, in seconds
	go vet ./...
	go test ./...

lint: ## golangci-lint, if it is installed
	@if command -v golangci-lint >/dev/null; then golangci-lint run ./...; else echo 'golangci-lint is not installed: skipped'; fi

ci: ## all that CI does: race detector, lint, fuzz, examples
	.ci/run

fuzz: ## every fuzz target for FUZZTIME each (10s)
	FUZZTIME=$(FUZZTIME) .ci/fuzz

bench: ## all benchmarks with allocations
	go test -run '^$$' -bench . -benchmem ./...

docs: ## regenerate the tables under docs/
	go test ./internal/coverage -update

diet: ## the talk's demo
	go run ./examples/diet
