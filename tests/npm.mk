# Third-party programs from npm, each in its own folder with a lock file. Node.js and npm are a wheel in
# .interop, so the machine needs no npm (Debian's is 408 packages); the registry is the machine's setting.
NPM := PATH="$(CURDIR)/.interop/bin:$$PATH" npm --loglevel=error --ignore-scripts --no-audit --no-fund \
	--no-update-notifier --omit-lockfile-registry-resolved
NPM_FOLDERS := tests/tools/axe tests/consumers/stig_manager tests/consumers/saf tests/consumers/sarif_multitool
# The wheel's npm searches .interop for the settings of all users and finds none there.
export NPM_CONFIG_GLOBALCONFIG ?= $(firstword $(wildcard /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc))

%/node_modules/.done: %/package.json %/package-lock.json | .interop/.done
	cd $* && $(NPM) ci
	touch $@

.PHONY: setup-axe
setup-axe: tests/tools/axe/node_modules/.done ## axe-core, for the test of the HTML report

.PHONY: setup-interop
setup-interop: .interop/.done tests/consumers/stig_manager/node_modules/.done ## third-party consumers of the evidence (pip and npm)

.PHONY: setup-interop-full
setup-interop-full: setup-interop tests/consumers/saf/node_modules/.done \
	tests/consumers/sarif_multitool/node_modules/.done ## setup-interop, SAF CLI (430 MB), SARIF Multitool (100 MB)

.PHONY: lock-npm
lock-npm: .interop/.done ## renew the lock files of the npm programs
	for folder in $(NPM_FOLDERS); do (cd $$folder && $(NPM) update --package-lock-only); done
