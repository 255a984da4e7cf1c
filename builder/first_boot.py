"""What an image does at the first boot of each machine that is started from it.

Sysprep installs it; each part runs once and then removes its own request. Commands are in the
units themselves: fapolicyd refuses a script that no package owns.
"""

REQUEST_FOLDER = "/var/lib/hardpan/first-boot"
"""One file for each part that is still to run."""

UNIT_FOLDER = "/etc/systemd/system"

USB_UNIT = "hardpan-usb-policy.service"
USB_REQUEST = f"{REQUEST_FOLDER}/usb-policy"
USB_RULES = "/etc/usbguard/rules.conf"

# The content's fix generates the policy during the build, of the build machine's devices: on a
# server it would refuse the keyboard and the network of the management controller. A machine with
# a USB bus whose devices cannot be listed keeps the request, so the next boot tries again.
_USB_UNIT_TEXT = f"""[Unit]
Description=Generate the USB policy of this machine from its devices
Documentation=man:usbguard(1)
ConditionPathExists={USB_REQUEST}
After=systemd-udev-trigger.service
Before=usbguard.service

[Service]
Type=oneshot
UMask=0077
ExecStartPre=-/usr/bin/udevadm settle --timeout=30
ExecStart=/bin/sh -ec 'if [ -d /sys/bus/usb/devices ]; then usbguard generate-policy; \
else echo "# No USB bus at the first boot"; fi > {USB_RULES}.new'
ExecStart=/bin/sh -ec '[ -s {USB_RULES}.new ] || echo "# No device at the first boot" \
> {USB_RULES}.new'
ExecStart=/bin/mv {USB_RULES}.new {USB_RULES}
ExecStart=-/usr/sbin/restorecon {USB_RULES}
ExecStart=/bin/rm -f {USB_REQUEST}

[Install]
WantedBy=usbguard.service
"""

CLOUD_INIT_FILE = "/etc/cloud/cloud.cfg.d/90-hardpan.cfg"

# Users, keys and the host name come from the seed alone. cloud-init's own default user has sudo
# without a password, its host keys include Ed25519, which sshd refuses in FIPS mode, and its
# setting of passwords would overwrite the profile's.
_CLOUD_INIT_TEXT = """# Written by hardpan: users, keys and the host name come from the seed alone.
users: []
disable_root: true
ssh_pwauth: unchanged
ssh_deletekeys: false
ssh_genkeytypes: [rsa, ecdsa]
preserve_hostname: false
"""

DISK_UNLOCK_FOLDER = "/etc/hardpan/disk-unlock"
"""Written by the kickstart of a profile with ``unlock: tpm2`` or ``unlock: tang``."""

_WRITE_FILE = """cat > {path} <<'END_OF_FILE'
{text}END_OF_FILE
chmod 0644 {path}
"""

INSTALL_SCRIPT = f"""set -eu
if command -v usbguard > /dev/null && [ -d {USB_RULES.rpartition("/")[0]} ]; then
    mkdir -p -m 0700 {REQUEST_FOLDER}
    : > {USB_REQUEST}
    {_WRITE_FILE.format(path=f"{UNIT_FOLDER}/{USB_UNIT}", text=_USB_UNIT_TEXT)}
    systemctl --quiet enable {USB_UNIT}
fi
# Machines from an image share the key of its volume; installs from an ISO do not.
[ ! -d {DISK_UNLOCK_FOLDER} ] || : > {DISK_UNLOCK_FOLDER}/reencrypt
if [ -d {CLOUD_INIT_FILE.rpartition("/")[0]} ]; then
    {_WRITE_FILE.format(path=CLOUD_INIT_FILE, text=_CLOUD_INIT_TEXT)}
fi
"""
"""Installs the parts that the image's packages have, as root on the guest."""
