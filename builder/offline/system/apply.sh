#!/bin/sh
# Applies the layers of this machine's profile at its first boot, from files that the install
# copied from the ISO. Started as root by hardpan-layers.service; needs no network. A layer that is
# complete is not repeated after an interruption. At the end the files and the service are gone, and
# the machine reboots: what the STIG enables becomes active then.
set -eu
umask 022
folder=${1:-/var/lib/hardpan-layers}
unit=${2:-/etc/systemd/system/hardpan-layers.service}
record=${3:-/var/log/hardpan-layers}

# To the journal, the serial port and the screen.
report() {
    echo "$1"
    for device in /dev/ttyS0 /dev/tty0; do
        if [ -c "$device" ]; then
            echo "HARDPAN-LAYERS: $1" > "$device" 2> /dev/null || true
        fi
    done
}

# Reports a failure; the service runs again at the next boot.
# shellcheck disable=SC2317 # called by trap
finish() {
    status=$?
    trap - EXIT
    if [ "$status" != 0 ]; then
        report "failed: ${name:-before the first layer}: see 'journalctl -u hardpan-layers'"
    fi
    exit "$status"
}

apply_layers() {
    cd "$folder"
    mkdir -p complete
    for layer in layers/*; do
        name=${layer##*/}
        if [ -e "complete/$name" ]; then
            continue
        fi
        report "layer $name"
        ANSIBLE_CONFIG="$folder/ansible/ansible.cfg" ANSIBLE_HOME="$folder/home" LC_ALL=C.UTF-8 \
            ansible-playbook --inventory localhost, --connection local \
            --extra-vars "@$folder/$layer/variables.json" ansible/site.yml
        : > "complete/$name"
    done
    name="after the last layer"
}

remove_copy() {
    mkdir -p "$record"
    chmod 0700 "$record"
    for outcomes in layers/*/outcomes.json; do
        if [ -e "$outcomes" ]; then
            name=${outcomes#layers/}
            cp "$outcomes" "$record/${name%/*}.json"
        fi
    done
    systemctl disable hardpan-layers.service
    rm -f "$unit"
    # Without the unit: AIDE records the files of this machine.
    name="AIDE's database"
    if ! sh aide.sh; then
        cp hardpan-layers.service "$unit"
        systemctl enable hardpan-layers.service
        return 1
    fi
    cd /
    rm -rf "$folder"
}

# The shell reads a script while it runs it, and this one is removed.
{
    trap finish EXIT
    apply_layers
    remove_copy
    report "complete"
    systemctl --no-block reboot
    exit 0
}
