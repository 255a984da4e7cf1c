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

# EL 9's audit 3 loads the rules when its daemon has started; EL 10 has a second unit.
if [ "$MAJOR" = 9 ]; then
    sed -i -e '/^Requires=audit-rules\.service$/d' \
        -e 's/^\(After=.*\) audit-rules\.service$/\1/' \
        -e '/^ExecStart=/a ExecStartPost=-/sbin/augenrules --load' $units/auditd.service
fi

# Settings of sshd are private, as in EL's package; the RHEL 10 STIG compares them with rpm's records.
chmod 600 /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*

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

# PAM and nsswitch as EL manages them, with EL 9's hash for passwords; EL 10's is yescrypt.
if [ "$MAJOR" = 9 ]; then
    sed -i 's/pam_unix\.so yescrypt/pam_unix.so sha512/' /usr/share/authselect/default/*/*
    sed -i 's/^ENCRYPT_METHOD .*/ENCRYPT_METHOD SHA512/' /etc/login.defs
fi
authselect select local --force --nobackup >/dev/null

# What starts by itself: the presets, nothing that Debian's scripts switched on.
find /etc/systemd/system -mindepth 1 \( -type l -o -type d -name '*.wants' \) -prune \
    -exec rm -rf {} +
systemctl preset-all >/dev/null 2>&1
systemctl mask --quiet e2scrub_reap.service grub-common.service
systemctl set-default --quiet multi-user.target

# The digest that dracut's fips module compares the kernel with, as EL's kernel package has it.
rm -f /boot/initrd.img-* /initrd.img* /vmlinuz*
(cd /boot && sha512hmac "vmlinuz-$kernel" >".vmlinuz-$kernel.hmac")
depmod "$kernel"
# One generic initramfs is made here: an emulated guest takes minutes. The installer leaves it
# where dracut-config-generic asks for the same; otherwise it makes a host-only one.
dracut --force --quiet --no-hostonly --add fips --kver "$kernel" "/boot/initramfs-$kernel.img"
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
