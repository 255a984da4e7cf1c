#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs inside the root, after the overlay has been laid over it: what only the
# root's own tools can do. No network, no daemon.
# shellcheck disable=SC2016  # the unit files expand their variables, not this script
set -eu
kernel="$(basename /lib/modules/*)"

# EL names for accounts and groups that content and kickstarts speak of.
getent group wheel >/dev/null || groupadd --system wheel
sed -i 's/^SHELL=.*/SHELL=\/bin\/bash/' /etc/default/useradd
grep -q '^CREATE_HOME' /etc/login.defs || echo 'CREATE_HOME     yes' >>/etc/login.defs
grep -q '^UMASK' /etc/login.defs || echo 'UMASK           022' >>/etc/login.defs
usermod --shell /bin/bash root
passwd --lock root >/dev/null

# The unit files under their EL names read their EL settings.
units=/usr/lib/systemd/system
sed -i -e '/^Alias=/d' -e 's/ssh\.service sshd\.service/sshd.service/' \
    $units/sshd.service $units/chronyd.service $units/sshd-keygen.service
sed -i -e 's,/etc/default/ssh,/etc/sysconfig/sshd,' -e 's/\$SSHD_OPTS/$OPTIONS/' $units/sshd.service
sed -i -e 's,/etc/default/chrony$,/etc/sysconfig/chronyd,' -e 's/\$DAEMON_OPTS/$OPTIONS/' \
    $units/chronyd.service
sed -i -e 's,/etc/default/cronie,/etc/sysconfig/crond,' -e 's/\$DAEMON_ARGS/$CRONDARGS/' \
    $units/crond.service

# EL 9's audit 3 loads the rules when its daemon has started; there is no second unit.
sed -i -e '/^Requires=audit-rules\.service$/d' -e 's/^\(After=.*\) audit-rules\.service$/\1/' \
    -e '/^ExecStart=/a ExecStartPost=-/sbin/augenrules --load' $units/auditd.service

# Generate missing host keys at every boot, not only at the first.
sed -i -e '/^ConditionFirstBoot/d' -e '/^ConditionPathIsSymbolicLink/d' \
    -e 's/^WantedBy=.*/WantedBy=sshd.service/' $units/sshd-keygen.service
sed -i 's/^SELINUX=.*/SELINUX=disabled/' /etc/selinux/config
# Debian's policy is EL's reference policy under another name; nothing in it names the folder.
for place in /etc/selinux /usr/share/selinux /var/lib/selinux; do
    mv $place/default $place/targeted
done
sed -i 's/^SELINUXTYPE=.*/SELINUXTYPE=targeted/' /etc/selinux/config
semodule -n -s targeted -i /usr/share/selinux/packages/hardpan_lab.cil

# fapolicyd with EL's rules ('known-libs', as its %post installs them) and paths of this system.
# Debian's build reads no rpm database; /usr/libexec/fapolicyd-rpm-trust writes it as a file.
rules=/usr/share/fapolicyd/sample-rules
mkdir -p /etc/fapolicyd/rules.d
sed -n '/^fapolicyd.rules.known-libs/,/^fapolicyd.rules.restrictive/p' $rules/README-rules |
    sed -n 's/^\([0-9].*\.rules\).*/\1/p' | while read -r name; do
    sed "s,exe=/usr/bin/python3 ,exe=$(readlink -f /usr/bin/python3) ," \
        "$rules/$name" >"/etc/fapolicyd/rules.d/$name"
done
sed -i 's/^trust = .*/trust = file/' /etc/fapolicyd/fapolicyd.conf
chgrp -R fapolicyd /etc/fapolicyd
chmod 750 /etc/fapolicyd /etc/fapolicyd/rules.d /etc/fapolicyd/trust.d

# PAM and nsswitch as EL manages them, with EL 9's hash for passwords.
sed -i 's/pam_unix\.so yescrypt/pam_unix.so sha512/' /usr/share/authselect/default/*/*
sed -i 's/^ENCRYPT_METHOD .*/ENCRYPT_METHOD SHA512/' /etc/login.defs
authselect select local --force --nobackup >/dev/null

# What starts by itself: the presets, nothing that Debian's scripts switched on.
find /etc/systemd/system -mindepth 1 \( -type l -o -type d -name '*.wants' \) -prune \
    -exec rm -rf {} +
systemctl preset-all >/dev/null 2>&1
systemctl mask --quiet e2scrub_reap.service grub-common.service systemd-networkd-wait-online.service
systemctl set-default --quiet multi-user.target

# Build one generic initramfs here: an emulated guest is too slow.
cat >/etc/initramfs-tools/modules <<'MODULES'
virtio_pci
virtio_blk
virtio_scsi
virtio_rng
sd_mod
sr_mod
ahci
ata_piix
nvme
ext4
xfs
vfat
dm_mod
dm_crypt
isofs
MODULES
sed -i -e 's/^MODULES=.*/MODULES=list/' -e 's/^COMPRESS=.*/COMPRESS=lz4/' \
    -e 's/^#* *COMPRESSLEVEL=.*/COMPRESSLEVEL=9/' /etc/initramfs-tools/initramfs.conf
# EL's boot=UUID=... names the file system of /boot for the FIPS self-test; Debian's
# initramfs would take it for the name of a boot script and panic.
cat >/etc/initramfs-tools/scripts/init-top/hardpan-boot <<'SCRIPT'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
case "$BOOT" in
    UUID=* | LABEL=* | /*) echo BOOT=local >>/conf/param.conf ;;
esac
SCRIPT
chmod 755 /etc/initramfs-tools/scripts/init-top/hardpan-boot
# The initramfs is left where it is, not deleted: with init_on_free=1 its pages would be cleared,
# and an emulator pays dearly for each write to a page that it once ran code of (12 s of a start).
stay='cd "${rootmnt}" \&\& mount -n -o move . / \&\& '
stay=$stay'exec chroot . "${init}" "$@" <dev/console >dev/console 2>\&1'
sed -i "s|^exec run-init .*|$stay|" /usr/share/initramfs-tools/init
grep -q '^cd "${rootmnt}" && mount' /usr/share/initramfs-tools/init
rm -f /boot/initrd.img-* /initrd.img* /vmlinuz*
depmod "$kernel"
CRYPTSETUP=y mkinitramfs -o "/boot/initramfs-$kernel.img" "$kernel"
chmod 600 "/boot/initramfs-$kernel.img"

# The signed boot loaders where EL's packages have them. Debian's signed GRUB reads its
# configuration from /EFI/debian only, so that is the vendor's folder.
esp=/boot/efi/EFI
mkdir -p $esp/BOOT $esp/debian
mv /usr/lib/shim/shimx64.efi.signed $esp/debian/shimx64.efi
mv /usr/lib/shim/mmx64.efi.signed $esp/debian/mmx64.efi
mv /usr/lib/shim/fbx64.efi.signed $esp/BOOT/fbx64.efi
cp $esp/debian/shimx64.efi $esp/BOOT/BOOTX64.EFI
mv /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed $esp/debian/grubx64.efi
echo 'shimx64.efi,hardpan lab,,This is the boot entry for hardpan lab' |
    iconv -t UTF-16 >$esp/debian/BOOTX64.CSV
chmod -R 0700 /boot/efi
rm -r /usr/lib/shim /usr/lib/grub/x86_64-efi-signed

# Nothing of this build's identity travels with the image.
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id /etc/hostname \
    /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/.pwd.lock /etc/resolv.conf \
    /var/lib/systemd/random-seed
: >/etc/machine-id
echo localhost.localdomain >/etc/hostname
printf '127.0.0.1 localhost localhost.localdomain\n::1 localhost localhost.localdomain\n' >/etc/hosts
: >/etc/resolv.conf
: >/etc/fstab
: >/etc/crypttab
: >/etc/motd
ldconfig
find /var/log /var/cache /tmp /var/tmp /run -mindepth 1 -type f -delete
