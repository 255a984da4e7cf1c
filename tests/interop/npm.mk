# Foreign readers from npm: STIG Manager's parser and MITRE's SAF CLI. Some 430 MB.
NPM_ROOM := tests/interop/npm

.PHONY: setup-interop-npm
setup-interop-npm: setup-venv $(NPM_ROOM)/node_modules/.done ## foreign readers from npm, as the lock file has them (430 MB)

$(NPM_ROOM)/node_modules/.done: $(NPM_ROOM)/package.json $(NPM_ROOM)/package-lock.json $(NPM_ROOM)/.npmrc
	@command -v npm >/dev/null || { \
		if command -v apt-get >/dev/null; then $(SUDO) apt-get install -yq --no-install-recommends nodejs npm; \
		elif command -v dnf >/dev/null; then $(SUDO) dnf install -y nodejs npm; fi; }
	cd $(NPM_ROOM) && npm ci --loglevel=error
	touch $@

.PHONY: test-interop-npm
test-interop-npm: setup-interop-npm ## checklists and HDF as foreign readers see them (EVIDENCE=file: that too)
	HARDPAN_INTEROP=required HARDPAN_EVIDENCE="$(abspath $(EVIDENCE))" $(BIN)/pytest tests/interop/test_npm_readers.py -q
