# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SYSTEM_PYTHON := $(shell command -v python3 || command -v python3.12 || command -v python3.11)
BIN := .venv/bin
DEMO ?= demo
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help env demo test test-fast coverage check format schemas docs bench wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: ## make .venv with everything (a second run does nothing)
	@$(SYSTEM_PYTHON) tools/set_up.py

demo: env ## sample data → prepared → global.h5 → 5 folds → report, in ./demo
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh "$(DEMO)"

test: ## the whole test suite, in parallel
	@$(SYSTEM_PYTHON) tools/set_up.py --for-tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-fast: env ## the tests without the slow ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

coverage: env ## the whole suite with the share of lines it runs; fails below the floor in pyproject.toml
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered

check: env ## lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: env ## rewrite the code in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: env ## docs/reference/schemas from the classes that check files and from the commands
	@$(BIN)/python tools/make_schemas.py

docs: env ## the documentation as a site in ./site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html, or with its search: python3 -m http.server --directory site"

bench: env ## rendering, aligning and merging measured here, on sample data (minutes, 1 GB in build/)
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/bench.sh build/bench

wheel: env ## build sdist and wheel into dist/
	@$(BIN)/python -m hatchling build

clean: ## remove what the targets made, except the environment
	rm -rf demo dist build site .pytest_cache .ruff_cache .hypothesis .coverage*
