#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The media's first program: find the media by its label, lay a writable tmpfs
# over the image on it, and hand over to the installer.
# shellcheck shell=dash
export PATH=/bin

say() { echo "hardpan-lab: $*" >/dev/console; }
fail() {
    say "MEDIA FAILED: $*"
    sleep 2
    poweroff -f
}

/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /run
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=0620,ptmxmode=000 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm

while read -r module; do
    insmod "/modules/$module" 2>/dev/null || say "module $module was not loaded"
done </modules/order

label=
# shellcheck disable=SC2013  # words are wanted here
for word in $(cat /proc/cmdline); do
    case $word in
    inst.stage2=hd:LABEL=*) label=${word#inst.stage2=hd:LABEL=} ;;
    esac
done
label=${label%%:*}
[ -n "$label" ] || fail "the kernel command line has no inst.stage2=hd:LABEL="

mkdir -p /run/install/repo /run/install/stage2 /run/install/overlay /sysroot
tries=0
until device=$(findfs "LABEL=$label" 2>/dev/null) &&
    mount -t iso9660 -o ro "$device" /run/install/repo 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "no device with the label $label appeared within 60 s"
    sleep 0.2
done
say "media: $device"

image=/run/install/repo/images/install.img
losetup -r /dev/loop0 "$image" || fail "$image cannot be attached"
mount -t squashfs -o ro /dev/loop0 /run/install/stage2 || fail "$image is not a squashfs"
mount -t tmpfs -o mode=0755,size=75% tmpfs /run/install/overlay
mkdir -p /run/install/overlay/upper /run/install/overlay/work
mount -t overlay overlay -o "lowerdir=/run/install/stage2,upperdir=/run/install/overlay/upper,workdir=/run/install/overlay/work" \
    /sysroot || fail "the overlay cannot be mounted"
for m in dev proc sys run; do
    mount --move "/$m" "/sysroot/$m" || fail "/$m cannot be moved"
done
[ -x /sysroot/usr/libexec/hardpan-lab/init ] || fail "the media carries no installer"
exec switch_root -c /dev/console /sysroot /usr/libexec/hardpan-lab/init
