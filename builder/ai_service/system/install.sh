#!/bin/sh
# Installs the AI service and prints "changed" or "unchanged". Run as root in the folder
# that the archive was unpacked in; the tree "files" there is copied to "/".
set -eu
umask 022
proxy_user=$1

fail() { echo "$1" >&2; exit 1; }
for tool in nginx nft openssl systemd-sysusers; do
    command -v "$tool" > /dev/null || fail "$tool is not installed"
done
id "$proxy_user" > /dev/null 2>&1 || fail "the proxy's user $proxy_user does not exist"
while read -r path; do
    [ -e "$path" ] || fail "$path is missing: an earlier layer or the site provides it"
done < required_paths
while read -r folder; do
    [ ! -e "$folder/SHA256SUMS" ] || continue
    [ -e "files$folder/SHA256SUMS" ] || fail "$folder has no SHA256SUMS: its files cannot be checked"
done < models

changed=no
install_file() {
    cmp -s "files$1" "$1" && return 0
    mode=0644
    [ "${1##*/}" = login.json ] && mode=0640
    install -D -o root -g root -m "$mode" "files$1" "$1"
    changed=yes
}
find files -type f | sed 's/^files//' | LC_ALL=C sort > file_list
while read -r path; do install_file "$path"; done < file_list
# Files of an earlier installation that this one no longer has.
installed=/var/lib/hardpan/ai_service.files
if [ -e "$installed" ]; then
    while read -r path; do
        grep -qxF "$path" file_list || { rm -f "$path"; changed=yes; }
    done < "$installed"
fi
install -d -o root -g root -m 0755 /var/lib/hardpan
cmp -s file_list "$installed" || { install -m 0644 file_list "$installed"; changed=yes; }
while read -r folder; do
    (cd "$folder" && sha256sum --quiet -c SHA256SUMS) || fail "$folder: a file does not match SHA256SUMS"
done < models

if [ "$changed" = yes ]; then
    systemd-sysusers /usr/lib/sysusers.d/hardpan-ai.conf
    chgrp ai-auth /etc/hardpan/ai_service/login.json
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/hardpan-ai.conf
    nft -c -f /etc/hardpan/ai_service/egress.nft
    systemctl daemon-reload
    systemctl -q enable hardpan-ai.target
    # The next boot creates the secrets and starts the service; a running service is restarted.
    systemctl try-restart hardpan-egress.service hardpan-ai.target
fi

# firewalld blocks ports that are not listed; another layer may have listed this one.
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
# The services' own domain, and the type of the ports that the proxy may connect to.
if command -v selinuxenabled > /dev/null && selinuxenabled; then
    module=/usr/share/selinux/packages/hardpan-ai.cil
    if [ -e "$module" ] && ! cmp -s "$module" /var/lib/hardpan/hardpan-ai.cil; then
        semodule -i "$module"
        restorecon -RF /var/lib/ai
        install -m 0644 "$module" /var/lib/hardpan/hardpan-ai.cil
        changed=yes
    fi
    semanage port -l | sed -n 's/^http_port_t  *tcp  *//p' | tr -d ' ' | tr ',' '\n' > labelled_ports
    while read -r port; do
        grep -qx "$port" labelled_ports || echo "port -a -t http_port_t -p tcp $port"
    done < ports > port_rules
    # One call: each writes the whole policy.
    [ ! -s port_rules ] || { semanage import -f port_rules && changed=yes; }
fi
# fapolicyd trusts files of RPMs; this list adds the files of this layer.
if [ -d /etc/fapolicyd/trust.d ]; then
    while read -r path; do
        case $path in
            /usr/libexec/hardpan/*) echo "$path $(stat -c %s "$path") $(sha256sum < "$path" | cut -d' ' -f1)" ;;
        esac
    done < file_list > trust
    cmp -s trust /etc/fapolicyd/trust.d/hardpan-ai-service ||
        { install -o root -g "$(stat -c %g /etc/fapolicyd/trust.d)" -m 0644 trust /etc/fapolicyd/trust.d/hardpan-ai-service &&
            changed=yes; }
    if systemctl -q is-active fapolicyd; then fapolicyd-cli --update > /dev/null; fi
fi
[ "$changed" = yes ] && echo changed || echo unchanged
