#!/bin/sh
# Checks that the build user can still log in after hardening.
#
#   guard.sh files         validate the configuration of sshd and sudo, then reload sshd
#   guard.sh USER SUDO     run over a new connection, so PAM has accepted the user; checks the
#                          password state and that sudo (nopasswd, password or none) still works
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
