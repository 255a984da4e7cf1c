#!/bin/sh
# Puts the stack in place and says whether anything changed. Run as root in the folder
# that the archive was unpacked in; "files" there is laid over "/".
set -eu
umask 022
proxy_user=$1

fail() { echo "$1" >&2; exit 1; }
for tool in nginx nft openssl systemd-sysusers; do
    command -v "$tool" > /dev/null || fail "$tool is not installed"
done
id "$proxy_user" > /dev/null 2>&1 || fail "the proxy's user $proxy_user does not exist"
while read -r path; do
    [ -e "$path" ] || fail "$path is not there: a layer before this one brings it, or the site"
done < needs
while read -r folder; do
    [ ! -e "$folder/SHA256SUMS" ] || continue
    [ -e "files$folder/SHA256SUMS" ] || fail "$folder has no SHA256SUMS: its files cannot be checked"
done < models

changed=no
put() {
    cmp -s "files$1" "$1" && return 0
    mode=0644
    [ "${1##*/}" = login.json ] && mode=0640
    install -D -o root -g root -m "$mode" "files$1" "$1"
    changed=yes
}
find files -type f | sed 's/^files//' | LC_ALL=C sort > list
while read -r path; do put "$path"; done < list
# What an earlier build put there and this one does not.
kept=/var/lib/hardpan/sovereign_stack.files
if [ -e "$kept" ]; then
    while read -r path; do
        grep -qxF "$path" list || { rm -f "$path"; changed=yes; }
    done < "$kept"
fi
install -d -o root -g root -m 0755 /var/lib/hardpan
cmp -s list "$kept" || { install -m 0644 list "$kept"; changed=yes; }
while read -r folder; do
    (cd "$folder" && sha256sum --quiet -c SHA256SUMS) || fail "$folder is not what its SHA256SUMS says"
done < models

if [ "$changed" = yes ]; then
    systemd-sysusers /usr/lib/sysusers.d/hardpan-ai.conf
    chgrp ai-auth /etc/hardpan/sovereign/login.json
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/hardpan-ai.conf
    nft -c -f /etc/hardpan/sovereign/egress.nft
    systemctl daemon-reload
    systemctl -q enable hardpan-ai.target
    # Started by the next start of the machine, where its secrets are made; a stack that
    # already runs takes up what is new.
    systemctl try-restart hardpan-egress.service hardpan-ai.target
fi

# EL's firewall lets nothing in that is not listed; another layer may have listed the port.
firewall=
if systemctl -q is-active firewalld; then
    firewall="firewall-cmd --permanent"
elif command -v firewall-offline-cmd > /dev/null; then
    firewall="firewall-offline-cmd"
fi
if [ -n "$firewall" ] && ! $firewall -q --query-port=443/tcp 2> /dev/null &&
    ! $firewall -q --query-service=https 2> /dev/null; then
    $firewall -q --add-service=https > /dev/null
    [ "$firewall" = "firewall-offline-cmd" ] || firewall-cmd -q --reload
    changed=yes
fi
# NOTE: not tried where SELinux enforces. The proxy may reach ports of this type alone.
if command -v selinuxenabled > /dev/null && selinuxenabled; then
    while read -r port; do
        semanage port -l | grep -qE "^http_port_t .*[ ,]$port(,|$)" ||
            { semanage port -a -t http_port_t -p tcp "$port" && changed=yes; }
    done < ports
fi
# fapolicyd trusts what rpm installed, and by this list what the layer did.
if [ -d /etc/fapolicyd/trust.d ]; then
    while read -r path; do
        case $path in
            /usr/libexec/hardpan/*) echo "$path $(stat -c %s "$path") $(sha256sum < "$path" | cut -d' ' -f1)" ;;
        esac
    done < list > trust
    cmp -s trust /etc/fapolicyd/trust.d/hardpan-sovereign ||
        { install -o root -g "$(stat -c %g /etc/fapolicyd/trust.d)" -m 0644 trust /etc/fapolicyd/trust.d/hardpan-sovereign &&
            changed=yes; }
    if systemctl -q is-active fapolicyd; then fapolicyd-cli --update > /dev/null; fi
fi
[ "$changed" = yes ] && echo changed || echo unchanged
