#!/bin/bash
# EL's /etc/profile sets a umask only conditionally: '[ $(umask) -eq 0 ] && umask 022'.
# The content's fix matches that line and adds nothing, so the rule still fails.
set -eu
sed -i -E 's/^(\s*umask\s+)[0-7]+/\1077/' /etc/profile /etc/profile.d/*.sh
grep -qE '^\s*umask\s+077' /etc/profile || echo 'umask 077' >> /etc/profile
