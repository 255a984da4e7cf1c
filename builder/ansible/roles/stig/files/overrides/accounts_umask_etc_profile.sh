#!/bin/bash
# EL's /etc/profile sets a mask only behind a condition: '[ $(umask) -eq 0 ] && umask 022'.
# The content sees a mask there, adds none, and its own check then finds none.
set -eu
sed -i -E 's/^(\s*umask\s+)[0-7]+/\1077/' /etc/profile /etc/profile.d/*.sh
grep -qE '^\s*umask\s+077' /etc/profile || echo 'umask 077' >> /etc/profile
