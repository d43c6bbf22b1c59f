# One word per chore. Each does its own set-up on a fresh clone: a virtual environment in .venv, the packages in it and,
# where tests drive real programs, Debian's. Stamp files in .venv remember what is done.
#
#   make demo [ARGS=--check]   the whole story on loopback, in a throw-away home
#   make test                  what every change must pass, at most 15 minutes on two cores
#   make test-long             the longer half
#   make torture               by hand: many kills under load
#   make lint                  style, types, directions of imports
#   make docs                  write the generated parts of docs/ again
#   make words                 bring the catalogues of web/translations in step with the words in the source
#   make screenshots           a picture of every page, into docs/screenshots/all; ARGS="setup sent" for some
#   make lighthouse            points of the main pages on a phone; fails under 95; ARGS="sent" for some
#   make bench [ARGS=...]      benchmarks/accept.py; with BENCH=deliver, benchmarks/deliver.py, and so mailbox, portal, memory
#   make bench-check           short runs; fails if a ratio of benchmarks/kept.json became worse by more than 30 %
#   make fuzz [ARGS=seconds]   each target of tests/fuzz for a minute, or so many seconds; what fails becomes a vector
#   make scan                  sslyze at every port with TLS, wapiti at the pages of a server of its own: 20 minutes
#   make audit                 pip-audit: known holes in the packages that are installed; needs PyPI's own answers
#   make image [ARGS=...]      the container of examples/Containerfile, by podman; with BUILDER="docker build", by docker
#   make sbom                  bills of materials (CycloneDX) into dist/: packages of Python and of npm
#   make clean                 remove everything that make made

PYTHON ?= python3
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))
BIN = .venv/bin
DEBIAN = chromium postfix libsasl2-modules dovecot-core dovecot-imapd swaks libnet-ssleay-perl msmtp neomutt isync offlineimap3 fetchmail getmail6 thunderbird curl p7zip-full strace e2fsprogs gcc libc6-dev libssl-dev fonts-dejavu-core fonts-noto-core libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 poppler-utils qpdf mupdf-tools gnupg gpg-agent openssl knot unbound clamav-daemon rspamd tesseract-ocr softhsm2 systemd zbar-tools certbot
TOOLS = chromium postfix doveadm /usr/lib/dovecot/imap swaks msmtp neomutt mbsync offlineimap fetchmail getmail thunderbird curl 7z strace mkfs.ext4 gcc knotd unbound clamd rspamd tesseract pdftoppm qpdf mutool gpg gpgconf openssl softhsm2-util systemd-analyze zbarimg certbot

# The tests run Debian's servers in folders and on ports of their own. While the file POLICY is there, packages start none
# by themselves: two of them would want the same port, and an installation fails with its server.
POLICY = /usr/sbin/policy-rc.d
IS_DEBIAN_ROOT = [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
install = apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $(1) </dev/null >/dev/null

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where an environment forbids it, each of the hundreds of processes that tests start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: demo test test-long torture lint docs words screenshots lighthouse bench bench-check fuzz scan audit image sbom clean

demo: .venv/.packages .venv/.npm
	$(BIN)/cryptnsend demo $(ARGS)

# Two workers more than processors: many tests wait for servers, browsers and disks.
test: .venv/.packages .venv/.debian .venv/.npm .venv/pdfjs
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long and not torture" $(ARGS)

# pytest answers 5 when no test carries the mark, which is no failure here.
test-long: .venv/.packages .venv/.debian .venv/.npm .venv/pdfjs .venv/sslyze
	$(BIN)/python -m pytest -n 3 --dist worksteal -m long $(ARGS) || [ $$? -eq 5 ]

torture: .venv/.packages .venv/.debian .venv/.npm
	$(BIN)/python -m pytest -m torture -s $(ARGS) || [ $$? -eq 5 ]

lint: .venv/.packages
	@! grep -rnIE '^(<{7}|>{7}) ' cryptnsend web tests docs examples benchmarks # merges that were left half done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: .venv/.packages
	$(BIN)/python docs/reference.py

words: .venv/.packages
	$(BIN)/python docs/words.py

screenshots: .venv/.packages .venv/.debian .venv/.npm
	$(BIN)/python docs/screenshots.py $(ARGS)

lighthouse: .venv/.packages .venv/.debian .venv/.npm .venv/lighthouse
	$(BIN)/python benchmarks/lighthouse.py .venv/lighthouse $(ARGS)

bench: .venv/.packages .venv/.debian
	$(BIN)/python benchmarks/$(or $(BENCH),accept).py $(ARGS)

bench-check: .venv/.packages .venv/.debian
	$(BIN)/python benchmarks/check.py $(ARGS)

# The corpus is kept in ~/.cache/cryptnsend/fuzz, or below CRYPTNSEND_CORPUS. TARGET=html runs one.
fuzz: .venv/.fuzz
	$(BIN)/python -m tests.fuzz.run $(TARGET) $(ARGS)

# Scanners have environments of their own: they want other versions of what we use.
scan: .venv/.packages .venv/sslyze .venv/wapiti
	$(BIN)/python -m tests.security.scan tls .venv/sslyze/bin/sslyze
	$(BIN)/python -m tests.security.scan web .venv/wapiti/bin/wapiti

# Strict: a package that could not be looked up is no clean package.
audit: .venv/.packages .venv/bills
	@mkdir -p build
	$(BIN)/python -m pip freeze --exclude-editable >build/installed.txt
	.venv/bills/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off -r build/installed.txt

# In podman's own format an image has no health check.
BUILDER ?= podman build --format docker
image: .venv/.npm
	@command -v $(firstword $(BUILDER)) >/dev/null || { echo "$(firstword $(BUILDER)) is missing. On Debian: sudo apt-get install podman" >&2; exit 1; }
	$(BUILDER) $(ARGS) -f examples/Containerfile -t cryptnsend .

sbom: .venv/.packages .venv/bills
	@mkdir -p dist
	.venv/bills/bin/cyclonedx-py environment --no-validate --pyproject pyproject.toml --of JSON --output-reproducible -o dist/sbom-python.json $(BIN)/python
	@command -v npm >/dev/null || { echo "npm is missing, so its bill is too. On Debian: sudo apt-get install npm" >&2; exit 1; }
	npm sbom --prefix web --package-lock-only --sbom-format cyclonedx >dist/sbom-npm.json

clean:
	rm -rf .venv .demo build web/static/squire.js dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find cryptnsend tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.packages: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is missing or older than 3.11. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv || { $(IS_DEBIAN_ROOT) && $(call install,python3-venv) && $(PYTHON) -m venv .venv; } || { \
	  echo "No virtual environment could be made. On Debian: sudo apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

# The editor of the page for new messages is a package of npm. Without npm the page has its plain field instead.
.venv/.npm: web/package.json web/package-lock.json Makefile | .venv/.packages
	@command -v npm >/dev/null || ! $(IS_DEBIAN_ROOT) || { $(call install,npm); }
	@if ! command -v npm >/dev/null; then \
	  echo "npm is missing, so the page for new messages has a plain field. On Debian: sudo apt-get install npm" >&2; \
	else \
	  mkdir -p .venv/npm && cp web/package.json web/package-lock.json .venv/npm && \
	  (cd .venv/npm && npm ci --ignore-scripts --no-audit --no-fund --silent) && \
	  { printf '/* squire-rte\n\n'; cat .venv/npm/node_modules/squire-rte/LICENSE; printf '*/\n'; \
	    grep -v '^//# sourceMappingURL' .venv/npm/node_modules/squire-rte/dist/squire.js; } >web/static/squire.js && \
	  touch $@; \
	fi

.venv/.fuzz: pyproject.toml | .venv/.packages
	$(BIN)/python -m pip install --quiet -e '.[dev,fuzz]'
	@touch $@

# Firefox's reader of PDFs, which the tests let open what is sent. A folder has its name once it is whole: what was broken
# off would count as made.
.venv/pdfjs: | .venv/.npm
	@! command -v npm >/dev/null || { npm install --prefix $@.part --ignore-scripts --omit=optional --no-audit --no-fund --silent pdfjs-dist@4.8.69 && mv $@.part $@; }

.venv/sslyze: | .venv/.packages
	@$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet 'sslyze>=6.3,<7' || { rm -rf $@; exit 1; }

.venv/wapiti: | .venv/.packages
	@$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet 'wapiti3>=3.2,<4' || { rm -rf $@; exit 1; }

.venv/bills: | .venv/.packages
	@$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet 'pip-audit>=2.10' 'cyclonedx-bom>=7' || { rm -rf $@; exit 1; }

.venv/lighthouse: | .venv/.packages
	@command -v npm >/dev/null || { echo "npm is missing. On Debian: sudo apt-get install npm" >&2; exit 1; }
	@npm install --prefix $@.part --ignore-scripts --no-audit --no-fund --silent lighthouse@12 && mv $@.part $@

.venv/.debian: Makefile | .venv/.packages
	@missing=; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then :; \
	elif $(IS_DEBIAN_ROOT); then \
	  echo "Installing what the tests drive:$$missing"; \
	  [ -e $(POLICY) ] || { trap 'rm -f $(POLICY)' EXIT && printf '#!/bin/sh\nexit 101\n' >$(POLICY) && chmod 755 $(POLICY); } && \
	  $(call install,$(DEBIAN)); \
	else \
	  echo "The tests drive real programs, and these are missing:$$missing" >&2; \
	  echo "On Debian or Ubuntu: sudo apt-get install $(DEBIAN)" >&2; exit 1; \
	fi
	@touch $@
