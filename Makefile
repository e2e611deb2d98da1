# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SYSTEM_PYTHON := $(shell command -v python3 || command -v python3.12 || command -v python3.11)
BIN := .venv/bin
DEMO ?= demo
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help env demo test test-fast check format types coverage wheel bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: ## make .venv with everything (a second run does nothing)
	@$(SYSTEM_PYTHON) tools/set_up.py

demo: env ## sample data → prepared → global.h5 → 5 folds → report, in ./demo
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh "$(DEMO)"

test: ## the whole test suite, in parallel
	@$(SYSTEM_PYTHON) tools/set_up.py --browser
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-fast: env ## the tests without the slow ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

coverage: env ## the whole suite with the share of lines it runs
	@$(BIN)/python -m pytest -n $(WORKERS) --cov=fer_prep --cov=fer_train --cov-report=term-missing:skip-covered

check: env ## lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: env ## rewrite the code in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

wheel: env ## build sdist and wheel into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what the targets made, except the environment
	rm -rf demo dist build .pytest_cache .ruff_cache .hypothesis
