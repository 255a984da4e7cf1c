# All commands for work on hardpan; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Set in many containers. Without bytecode each worker of the tests, and each process that they start, compiles
# everything that it imports: more than half of the time of a unit test run.
unexport PYTHONDONTWRITEBYTECODE

OUT ?= images/out/demo
PROFILE ?= lab-stig

# The newest Python on this machine that is 3.11 or later; Rocky 9's default python3 is 3.9.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(if $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(p))))
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

APT_PACKAGES := qemu-system-x86 qemu-utils ovmf xorriso mtools isomd5sum mmdebstrap createrepo-c \
	rpm squashfs-tools zstd cpio dosfstools openscap-scanner openscap-utils openssh-client \
	openssh-server openssl jq unzip shellcheck python3-venv dpkg-dev procps util-linux systemd-container \
	iproute2 gpg gpg-agent gpgv cmake ninja-build g++ chromium softhsm2 opensc p11-kit-modules \
	swtpm tpm2-tools libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core isolinux syslinux-common \
	tang jose clevis clevis-luks clevis-tpm2 cryptsetup-bin kmod busybox
# What build, scan and verify need on Rocky Linux and Fedora, from the distribution's own repositories (ninja-build is
# in CRB). The lab, and with it the demo and the tests, needs Debian or Ubuntu.
DNF_PACKAGES := qemu-kvm qemu-img edk2-ovmf xorriso mtools isomd5sum createrepo_c rpm-build rpm-sign \
	squashfs-tools zstd cpio dosfstools openscap-scanner openscap-utils openssh-clients \
	openssl jq unzip python3.12 util-linux scap-security-guide iproute gnupg2 cmake ninja-build gcc-c++ \
	opensc p11-kit tpm2-tools pango dejavu-sans-fonts

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
		awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: setup
setup: setup-system setup-venv setup-cosign setup-openssl ## system packages, virtual environment, cosign, OpenSSL 3.5
	@$(VERSIONS) --brief

# Debian keeps only one version of a package, so no version is pinned; the installed ones are recorded.
VERSIONS = $(BIN)/python -m tests.tools.versions \
	--packages "$(if $(shell command -v apt-get),$(APT_PACKAGES),$(DNF_PACKAGES))"

.PHONY: versions
versions: setup-venv ## installed versions that are not pinned, and which of them are untested
	@$(VERSIONS)

.PHONY: versions-accept
versions-accept: setup-venv ## after all tests have passed: record the versions in requirements/tested.json
	@$(VERSIONS) --brief --accept

.PHONY: setup-system
setup-system: ## install the system packages that are missing (apt or dnf)
	@if command -v apt-get >/dev/null; then \
		missing=$$(for p in $(APT_PACKAGES); do \
			dpkg-query -W -f '$${db:Status-Status}' "$$p" 2>/dev/null | grep -qx installed || echo "$$p"; done); \
		[ -z "$$missing" ] || { $(SUDO) apt-get update -q && \
			DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -yq --no-install-recommends $$missing; }; \
	elif command -v dnf >/dev/null; then \
		crb=$$(dnf -q repolist --all 2>/dev/null | awk '$$1 == "crb" {print "--enablerepo=crb"}'); \
		rpm -q $(DNF_PACKAGES) >/dev/null || $(SUDO) dnf install -y $$crb $(DNF_PACKAGES); \
	else echo "neither apt nor dnf: install these yourself: $(APT_PACKAGES)" >&2; exit 4; fi

.PHONY: setup-venv
setup-venv: $(VENV)/.done ## create .venv from the lock file

# A lock file is complete: pip resolves nothing, so a newer release on the index changes nothing. pykickstart
# has no wheel and is built by the locked setuptools, not by the newest one in an isolated environment.
# --no-compile: Python compiles what it imports; compiling everything takes longer than installing it.
PIP_INSTALL := pip install --disable-pip-version-check -q --no-compile --no-deps
PIP_LOCKED := $(PIP_INSTALL) --require-hashes --only-binary :all:

$(VENV)/.done: requirements/build.txt requirements/lock.txt pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "no Python 3.11 or newer found" >&2; exit 4; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP_LOCKED) -r requirements/build.txt
	$(BIN)/$(PIP_LOCKED) --no-binary pykickstart --no-build-isolation -r requirements/lock.txt
	$(BIN)/$(PIP_INSTALL) --no-build-isolation -e .
	$(BIN)/pip --disable-pip-version-check check
	touch $@

.PHONY: setup-cosign
setup-cosign: setup-venv ## cosign from Debian trixie (apt-signed), if the system has none
	@command -v apt-get >/dev/null || echo "cosign: not installed, no apt here; only verifying with cosign needs it" >&2
	@! command -v apt-get >/dev/null || command -v cosign >/dev/null || [ -x $(BIN)/cosign ] || $(BIN)/python tests/tools/get_cosign.py

.PHONY: setup-openssl
setup-openssl: setup-venv ## OpenSSL 3.5 from Debian trixie for the ML-DSA tests, if the system's is older
	@! command -v apt-get >/dev/null || $(BIN)/python -m tests.tools.get_openssl

include tests/npm.mk

.interop/.done: requirements/interop.txt
	[ -x .interop/bin/python ] || $(PYTHON) -m venv .interop
	.interop/bin/$(PIP_LOCKED) -r requirements/interop.txt
	.interop/bin/pip --disable-pip-version-check check
	touch $@

.PHONY: demo
demo: setup ## build, harden, scan, sign and verify the lab image
	$(BIN)/hardpan prove $(PROFILE) -o $(OUT)

.PHONY: demo-ai
demo-ai: ## the same with an AI service: model server, knowledge base, chat page
	$(MAKE) demo PROFILE=lab-ai OUT=$(patsubst %/demo,%/demo-ai,$(OUT))

.PHONY: doctor
doctor: setup-venv ## show what this machine can do
	$(BIN)/hardpan doctor

# One worker runs the demo, the others run all other tests next to it (tests/conftest.py sets the order). Three
# workers suit two processors: many tests wait for a guest, a host or a deadline.
WORKERS ?= 3
PYTEST := $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: setup setup-axe setup-interop ## all tests, including the demo (EVIDENCE=file: also test that file)
	HARDPAN_EVIDENCE="$(abspath $(EVIDENCE))" $(PYTEST) tests \
		-m "not demo_ai and not system and not slow and not limits $(if $(EVIDENCE),,and not evidence)"

.PHONY: test-unit
test-unit: setup-venv ## unit tests: no processes, no sockets (at most a minute)
	$(PYTEST) tests/unit

.PHONY: test-repository
test-repository: setup-venv ## checks of the checkout: names, documents, lock files, tests that always assert
	$(PYTEST) tests/repository

.PHONY: test-tamper
test-tamper: setup-venv ## attacks on evidence, ledgers and terminals, without processes
	$(PYTEST) tests/tamper

# Pure packages whose tests take no measurable time each.
FAST_TESTS := $(addprefix tests/unit/,kickstart media openscap stig fips remediation compatibility attest \
	wheel_audit lab lab_installer)

.PHONY: test-fast
test-fast: setup-venv ## some 1,400 unit tests in seconds, for use while editing
	$(PYTEST) $(FAST_TESTS)

.PHONY: test-lock-drift
test-lock-drift: setup-venv ## set-up installs locked versions although newer releases exist
	$(BIN)/pytest tests/lock_drift -q

.PHONY: test-integration
test-integration: setup setup-axe setup-interop ## tests with real QEMU, sshd, oscap, xorriso, cosign; includes the demo
	$(PYTEST) tests/integration -m "not demo_ai and not system and not limits"

.PHONY: test-interop
test-interop: setup setup-interop ## trestle, STIG Manager's parser and others read the evidence (EVIDENCE=file: that too)
	HARDPAN_EVIDENCE="$(abspath $(EVIDENCE))" $(BIN)/pytest tests/consumers -q \
		-m "interop and not slow $(if $(EVIDENCE),,and not evidence)"

.PHONY: test-interop-full
test-interop-full: setup setup-interop-full ## test-interop with SAF CLI and SARIF Multitool (530 MB, EVIDENCE=file: that too)
	HARDPAN_EVIDENCE="$(abspath $(EVIDENCE))" $(BIN)/pytest tests/consumers -q \
		-m "interop $(if $(EVIDENCE),,and not evidence)"

.PHONY: test-evidence
test-evidence: setup setup-interop-full ## after 'make demo': third-party programs read the numbers of its evidence (EVIDENCE=)
	@[ -f "$(or $(EVIDENCE),$(wildcard $(OUT)/*.evidence.zip))" ] || \
		{ echo "$(or $(EVIDENCE),$(OUT): no evidence): expected one evidence file; run 'make demo' first" >&2; exit 3; }
	HARDPAN_EVIDENCE="$(abspath $(or $(EVIDENCE),$(wildcard $(OUT)/*.evidence.zip)))" \
		$(BIN)/pytest tests/consumers -q -m evidence

.PHONY: test-ai
test-ai: setup ## the demo with the AI service (half an hour; not part of 'make test')
	$(BIN)/pytest tests/integration -q -m demo_ai

.PHONY: test-system
test-system: setup ## all other tests that boot machines, in parts of at most an hour; continues (PART=, RESTART=1)
	$(BIN)/python -u -m tests.tools.system_tests $(PART) $(if $(RESTART),--restart)

.PHONY: test-demo
test-demo: setup setup-interop-full ## the demo, then third-party programs read everything in its evidence
	HARDPAN_CONSUMERS=all $(BIN)/pytest tests/integration -q -m demo

.PHONY: test-limits
test-limits: setup-venv ## hostile ARFs of 256 MiB: each is read or refused within 60 s and 1 GiB
	$(BIN)/pytest tests/integration -q -s -m limits

.PHONY: fuzz
fuzz: setup-venv ## 10,000 generated inputs for each parser of untrusted input (TARGETS="bundle iso_menu", COUNT=, SEED=)
	$(BIN)/python -m tests.fuzz --count $(or $(COUNT),10000) --seed $(or $(SEED),1) $(TARGETS)

.PHONY: fuzz-content
fuzz-content: setup-venv ## generated benchmarks: hardpan's content against plain oscap (COUNT=3000, SEED=)
	$(BIN)/python -m tests.content_differential --count $(or $(COUNT),3000) --seed $(or $(SEED),1)

.PHONY: diff-content
diff-content: setup-venv ## every profile of the shipped content: hardpan against plain oscap on this machine (ROOT=folder, PRODUCTS=)
	$(BIN)/python -m tests.content_differential.upstream $(if $(ROOT),--root $(ROOT)) $(PRODUCTS)

.PHONY: fuzz-ssh
fuzz-ssh: setup-venv ## generated SSH configurations and servers: hardpan against ssh (COUNT=1000, SEED=)
	HARDPAN_SSH_CASES=$(or $(COUNT),1000) HARDPAN_SSH_SEED=$(or $(SEED),1000) \
		$(BIN)/pytest -q tests/integration/test_ssh_differential.py

.PHONY: mutation-test
mutation-test: setup ## remove each check of the verifier in turn: a test must fail (JOBS=2)
	$(BIN)/python -u -m tests.tools.mutation --jobs $(or $(JOBS),2)

.PHONY: bench-layers
bench-layers: setup ## compare the STIG layer with the playbook of 'oscap generate fix' (root; BENCH=--json)
	$(BIN)/python -m tests.benchmarks.layers $(BENCH)

.PHONY: bench-report
bench-report: setup setup-interop ## compare all signed reports with openscap-report's and oscap's HTML (ARF=file BENCH=--json)
	$(BIN)/python -m tests.benchmarks.report $(if $(ARF),--arf "$(ARF)") $(BENCH)

.PHONY: bench-filter
bench-filter: setup-venv ## time from a key in the filter of report.html to the next frame, 1,500 rules (BENCH="--rules 5000 --throttle 4")
	$(BIN)/python -m tests.benchmarks.report_filter $(BENCH)

.PHONY: bench-scan
bench-scan: setup ## compare a signed scan with oscap-ssh over a real sshd (root; PAIRS=5 BENCH=--json)
	$(BIN)/python -m tests.benchmarks.scan $(if $(PAIRS),--pairs $(PAIRS)) $(BENCH)

.PHONY: bench-iso
bench-iso: setup ## compare writing the unattended ISO with copying and hashing the media (BENCH=--json)
	$(BIN)/python -m tests.benchmarks.iso $(BENCH)

.PHONY: bench-unchanged
bench-unchanged: setup ## time of a build with nothing changed, from process start (BENCH=--json)
	$(BIN)/python -m tests.benchmarks.unchanged_build $(BENCH)

.PHONY: bench-demo
bench-demo: setup ## compare the duration of the demo with that of an earlier commit (root; BASE=commit BENCH=--json)
	$(BIN)/python -m tests.benchmarks.demo --base $(or $(BASE),HEAD~1) $(BENCH)

.PHONY: docs
docs: setup-venv ## write the generated pages: docs/cli.md, and the tables of conflicts and kernel settings
	$(BIN)/python -m tests.tools.cli_reference
	HARDPAN_UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/unit/compatibility/test_conflicts.py tests/unit/profiles/test_host_docs.py tests/unit/collect/test_checks_docs.py

.PHONY: screenshots
screenshots: setup-venv ## render the pictures of docs/report.md and docs/evidence.md in headless Chromium
	$(BIN)/python -m tests.tools.screenshots

# Sent to targets, and excluded from mypy's packages because they are scripts.
ROLE_PROGRAMS := $(wildcard builder/ansible/roles/*/files/*.py)

.PHONY: lint
lint: setup-venv ## ruff, mypy, import contracts, ansible-lint, yamllint, shellcheck, commit subjects
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=builder/ansible/files $(BIN)/mypy --strict $(ROLE_PROGRAMS)
	$(BIN)/lint-imports
	cd builder/ansible && ../../$(BIN)/ansible-lint --offline --profile production
	$(BIN)/yamllint --strict .
	$(BIN)/python -m tests.tools.commit_subjects
	git ls-files '*.sh' .ci/run images/lab | xargs grep -lE '^#!.*\b(ba|da)?sh\b' | xargs shellcheck

.PHONY: format
format: setup-venv ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: lock-ai lock-npm ## renew the lock files (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --all-extras --group dev --upgrade \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header \
		pyproject.toml -o requirements/lock.txt
	{ head -n 1 requirements/build.txt; awk '/^[^ ]/ {on = /^setuptools==/} on' requirements/lock.txt; } \
		> requirements/.build && mv requirements/.build requirements/build.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header \
		requirements/interop.in -o requirements/interop.txt

# One Python and one platform, so no markers: the C library of EL 9, which EL 10 supports as well. Without
# '--upgrade', uv keeps the versions of the existing lock.
LOCK_AI := uv pip compile -q --upgrade --only-binary :all: --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --no-emit-build-options \
	--python-version 3.12 --python-platform x86_64-manylinux_2_34
LOCK_CU130 := $(LOCK_AI) --constraints builder/python_stacks/locks/ai-cu130.constraints.txt \
	--excludes builder/python_stacks/locks/ai-excludes.txt

.PHONY: lock-ai
lock-ai: ## renew the locks of the AI stacks (needs uv)
	echo 'llama-cpp-python[server]' | $(LOCK_AI) --no-binary llama-cpp-python - \
		-o builder/python_stacks/locks/ai-serving.lock
	$(LOCK_CU130) builder/python_stacks/locks/ai-pytorch-cu130.in -o builder/python_stacks/locks/ai-pytorch-cu130.lock
	$(LOCK_CU130) builder/python_stacks/locks/ai-vllm-cu130.in -o builder/python_stacks/locks/ai-vllm-cu130.lock
	uv pip compile -q --upgrade --only-binary :all: --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --no-emit-build-options \
		builder/python_stacks/locks/build-tools.in -o builder/python_stacks/locks/build-tools.lock

.PHONY: clean
clean: ## remove outputs and caches; keeps .venv and .interop
	rm -rf images/out images/cache .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
