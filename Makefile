# One word per chore. Each does its own set-up on a fresh clone: a virtual environment in .venv, the packages in it and,
# where tests drive real programs, Debian's. Stamp files in .venv remember what is done.
#
#   make demo [ARGS=--check]   the whole story on loopback, in a throw-away home
#   make test                  what every change must pass, at most 15 minutes
#   make test-long             the longer half
#   make torture               by hand: many kills under load
#   make lint                  style, types, directions of imports
#   make docs                  write the generated parts of docs/ again
#   make bench [ARGS=...]      benchmarks/accept.py
#   make clean                 remove everything that make made

PYTHON ?= python3
BIN = .venv/bin
DEBIAN = chromium postfix sasl2-bin libsasl2-modules dovecot-core swaks libnet-ssleay-perl msmtp neomutt curl p7zip-full strace e2fsprogs gcc libc6-dev libssl-dev fonts-dejavu-core fonts-noto-core
TOOLS = chromium postfix saslpasswd2 doveadm swaks msmtp neomutt 7z strace mkfs.ext4

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-long torture lint docs bench clean

demo: .venv/.packages
	$(BIN)/cryptnsend demo $(ARGS)

test: .venv/.packages .venv/.debian
	$(BIN)/python -m pytest -n 2 -m "not long and not torture" $(ARGS)

# pytest answers 5 when no test carries the mark, which is no failure here.
test-long: .venv/.packages .venv/.debian
	$(BIN)/python -m pytest -n 2 -m long $(ARGS) || [ $$? -eq 5 ]

torture: .venv/.packages .venv/.debian
	$(BIN)/python -m pytest -m torture -s $(ARGS) || [ $$? -eq 5 ]

lint: .venv/.packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: .venv/.packages
	$(BIN)/python docs/reference.py

bench: .venv/.packages .venv/.debian
	$(BIN)/python benchmarks/accept.py $(ARGS)

clean:
	rm -rf .venv .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find cryptnsend tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.packages: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is missing or older than 3.11. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { \
	  echo "No virtual environment could be made. On Debian: sudo apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

.venv/.debian: Makefile | .venv/.packages
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=; \
	for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing what the tests drive:$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN) </dev/null >/dev/null; \
	else \
	  echo "The tests drive real programs, and these are missing:$$missing" >&2; \
	  echo "On Debian or Ubuntu: sudo apt-get install $(DEBIAN)" >&2; exit 1; \
	fi
	@touch $@
