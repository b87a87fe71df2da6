# Two commands do everything, set-up included:
#
#   make run            start the site; PORT=8001 chooses another port, HOST=0.0.0.0 another address
#   make test           every check: style, types, layers, conformance, tests, browser
#
# Both need only python3 (3.11 or newer), make and git on the machine, and are quick the second time.

PORT ?= 8000
HOST ?= 127.0.0.1
SHELL := /bin/sh

.PHONY: help run test setup clean

help:
	@sed -n 's/^#   //p' Makefile

run:
	@python=$$(sh house/python.sh) && exec "$$python" -m house run --host "$(HOST)" --port "$(PORT)"

test:
	@python=$$(sh house/python.sh) && exec "$$python" -m house test $(ONLY)

setup:
	@python=$$(sh house/python.sh) && exec "$$python" -m house setup

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
