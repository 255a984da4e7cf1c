# Programs of others from npm, each in a folder of its own with a lock file. Node.js and npm are a wheel in
# .interop, so the machine needs none (Debian's npm is 408 packages); the registry is the machine's setting.
NPM := PATH="$(CURDIR)/.interop/bin:$$PATH" npm --loglevel=error --ignore-scripts --no-audit --no-fund \
	--no-update-notifier --omit-lockfile-registry-resolved
NPM_FOLDERS := tests/tools/axe tests/consumers/stig_manager tests/consumers/saf
# The wheel's npm looks for the settings of all users inside .interop, where none are.
export NPM_CONFIG_GLOBALCONFIG ?= $(firstword $(wildcard /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc))

%/node_modules/.done: %/package.json %/package-lock.json | .interop/.done
	cd $* && $(NPM) ci
	touch $@

.PHONY: setup-axe
setup-axe: tests/tools/axe/node_modules/.done ## axe-core, for the test of the report's page

.PHONY: setup-readers
setup-readers: .interop/.done tests/consumers/stig_manager/node_modules/.done ## programs of others that read what hardpan writes

.PHONY: setup-interop
setup-interop: setup-readers tests/consumers/saf/node_modules/.done ## those of setup-readers, and MITRE's SAF CLI (430 MB)

.PHONY: lock-npm
lock-npm: .interop/.done ## renew the locks of the programs from npm
	for folder in $(NPM_FOLDERS); do (cd $$folder && $(NPM) update --package-lock-only); done
