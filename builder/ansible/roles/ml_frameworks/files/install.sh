#!/bin/sh
# Installs the stacks' RPMs, signatures checked, and what AI layers share. Run as root in the
# folder that the archive was unpacked in.
set -eu
key=etc/pki/rpm-gpg/RPM-GPG-KEY-hardpan-site

install -d -o root -g root -m 0755 /etc/pki/rpm-gpg
put_key() { install -o root -g root -m 0644 "$key" "/$key"; }
cmp -s "$key" "/$key" || put_key
rpm --import "/$key"

# Install what is missing. A generalized image reaches no repository, so none is enabled unless
# a package of the distribution is missing.
repositories='--disablerepo=*'
for package in rpms/*.rpm; do
    # Require the digests and the site's signature by a key in the rpm database.
    rpmkeys --define '_pkgverify_level all' -K "$package" > said 2>&1 || {
        echo "$package: not signed by the site, or not whole: $(tail -n 1 said)" >&2
        exit 1
    }
    rpm -qp --requires "$package" | grep -v '^rpmlib(' > required
    while read -r one; do
        rpm -q --quiet --whatprovides "$one" || repositories=''
    done < required
done

of() { rpm -qp --qf "$1" "$2"; }

# Whole and the one that was built: headers of two builds differ even where versions do not.
there() {
    name=$(of '%{NAME}' "$1")
    [ "$(rpm -q --qf '%{SHA256HEADER}' "$name")" = "$(of '%{SHA256HEADER}' "$1")" ] &&
        rpm -V "$name" > /dev/null
}

# As the STIG has it for local packages too.
install_as() { # action, packages
    action=$1
    shift
    # shellcheck disable=SC2086  # one option or none
    dnf -q -y $repositories --setopt=localpkg_gpgcheck=1 --setopt=gpgcheck=1 "$action" "$@" >&2
}

set --
for package in rpms/*.rpm; do
    rpm -q --quiet "$(of '%{NEVRA}' "$package")" || set -- "$@" "./$package"
done
[ $# = 0 ] || install_as install "$@"
for package in rpms/*.rpm; do
    there "$package" && continue
    if rpm -q --quiet "$(of '%{NEVRA}' "$package")"; then
        install_as reinstall "./$package"
    else
        install_as downgrade "./$package"
    fi
    there "$package" || { echo "$package is not as it was built" >&2; exit 1; }
done

# Here the role has seen already that something differs.
# shellcheck source=/dev/null
. ./ai_host.sh
