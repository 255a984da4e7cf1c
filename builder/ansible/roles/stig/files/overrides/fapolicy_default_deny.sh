#!/bin/bash
# The rules end with "deny everything" only if earlier rules allow programs.
# With an empty rules directory the content's fix would block every program.
set -eu
rules=/etc/fapolicyd/rules.d
if ! grep -qsE '^allow ' "$rules"/*.rules; then
    echo "$rules allows nothing: a final deny rule would block every program" >&2
    exit 1
fi
printf '%s\n' '# RHEL-09-433016' 'deny perm=any all : all' > "$rules/99-deny-everything.rules"
chown root:fapolicyd "$rules/99-deny-everything.rules"
chmod 0644 "$rules/99-deny-everything.rules"
sed -i -E '/^\s*permissive\s*=/d' /etc/fapolicyd/fapolicyd.conf
echo 'permissive = 0' >> /etc/fapolicyd/fapolicyd.conf
