#!/bin/bash
# Enabled only if the rpm database is trusted and the rules allow trusted programs.
set -eu
if ! grep -qE '^\s*trust\s*=.*\b(rpmdb|file)\b' /etc/fapolicyd/fapolicyd.conf; then
    echo 'fapolicyd does not trust the rpm database: it would block every program' >&2
    exit 1
fi
if ! grep -qsE '^allow ' /etc/fapolicyd/rules.d/*.rules; then
    echo 'fapolicyd has no allow rules: it would not start, or block every program' >&2
    exit 1
fi
systemctl unmask fapolicyd.service
systemctl enable fapolicyd.service
