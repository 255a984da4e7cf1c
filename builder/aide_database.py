"""AIDE's database of an image: the last change of sysprep, of the files as they are delivered."""

import shlex

_AIDE_EXCLUSIONS = (
    # Identity, made at the first boot.
    "/etc/machine-id$",
    "/etc/ssh/ssh_host_.*_key",
    "/etc/lvm/devices",
    "/etc/hardpan/disk-unlock",
    "/root/hardpan-recovery-key$",
    "/etc/usbguard/rules\\.conf$",
    "/etc/nvme/host(nqn|id)$",
    "/etc/iscsi/initiatorname\\.iscsi$",
    # Secrets of the AI service, made at the first boot.
    "/root/hardpan-access$",
    "/etc/hardpan/ai_service/machine\\.json$",
    "/etc/pki/hardpan/tls\\.",
    # GRUB's environment, written at every boot, and the journal, in a folder named by machine id.
    "/boot/grub2/grubenv$",
    "/var/log/journal",
)
"""Regular expressions of files that every machine generates; AIDE would report them all."""

# First in the file: the first rule that matches a file decides in aide 0.19, and a negative one
# always does in aide 0.16. The copy is what the content's rule, and EL's own documentation, use.
AIDE_SCRIPT = f"""set -eu
command -v aide > /dev/null && [ -f /etc/aide.conf ] || exit 0
if ! grep -q '^# Files that every machine generates' /etc/aide.conf; then
    {{
        echo '# Files that every machine generates for itself (added by hardpan).'
        printf '!%s\\n' {" ".join(map(shlex.quote, _AIDE_EXCLUSIONS))}
        cat /etc/aide.conf
    }} > /etc/aide.conf.new
    cat /etc/aide.conf.new > /etc/aide.conf
    rm -f /etc/aide.conf.new
fi
mkdir -p -m 0700 /var/lib/aide
rm -f /var/lib/aide/aide.db.new.gz
aide --config=/etc/aide.conf --init
[ -s /var/lib/aide/aide.db.new.gz ]
cp -p /var/lib/aide/aide.db.new.gz /var/lib/aide/aide.db.gz
find /var/log/aide -type f -exec truncate -s 0 {{}} + 2>/dev/null || true
sync
"""
"""Creates the database, as root on the guest; does nothing without AIDE."""
