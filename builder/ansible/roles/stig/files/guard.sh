#!/bin/sh
# Says whether the build user can still come in; a hardening that locks its owner out is
# worse than none.
#
#   guard.sh files         what sshd and sudo will read is valid; sshd reads it now
#   guard.sh USER SUDO     run over a connection made since: PAM let the user in, and sudo
#                          (nopasswd, password or none) still does what it should
set -eu
if [ "$1" = files ]; then
    sshd -t
    visudo -c -q
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl reload sshd
    fi
    exit 0
fi
case "$(passwd --status "$1")" in
    *' NP '*)
        echo "$1 has an empty password" >&2
        exit 1
        ;;
esac
[ "$2" != nopasswd ] || runuser -u "$1" -- sudo -n true
