"""An overlay host in the shape of a minimal Rocky Linux 9: an rpm database, no dpkg data.

It has no tar, Python or sudo. Its programs are still this machine's.
"""

from collections.abc import Mapping

from tests.integration.overlay_host import HostSpec

OS_RELEASE = """\
NAME="Rocky Linux"
VERSION="9.6 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"
CPE_NAME="cpe:/o:rocky:rocky:9::baseos"
"""

PACKAGES: Mapping[str, str] = {
    "rocky-release": "9.6-1.3.el9",
    "bash": "5.1.8-9.el9",
    "coreutils": "8.32-39.el9",
    "glibc": "2.34-168.el9",
    "openscap-scanner": "1.3.12-1.el9",
    "openssh-server": "8.7p1-45.el9",
    "rpm": "4.16.1.3-37.el9",
    "systemd": "252-51.el9",
    "telnet-server": "0.17-85.el9",
    "crypto-policies": "20250128-1.el9",
    # Most rules of the STIG are for systems with a kernel, and with these.
    "kernel-core": "5.14.0-570.12.1.el9_6",
    "audit": "3.1.5-4.el9",
    "chrony": "4.6.1-1.el9",
    "dnf": "4.14.0-25.el9",
    "firewalld": "1.3.4-9.el9",
    "grub2-common": "2.06-104.el9",
    "kernel": "5.14.0-570.12.1.el9_6",
    "libpwquality": "1.4.4-8.el9",
    "openssh": "8.7p1-45.el9",
    "openssh-clients": "8.7p1-45.el9",
    "pam": "1.5.1-25.el9",
    "rsyslog": "8.2412.0-1.el9",
    "shadow-utils": "4.9-12.el9",
}
"""Name -> version and release in the rpm database; the packages have no files."""

REMOVED = (
    *("tar", "python", "python3", "python3.11", "sudo", "doas", "pkexec"),
    *("apt", "apt-get", "apt-cache", "dpkg", "dpkg-query", "dpkg-deb"),
    *("/var/lib/dpkg", "/etc/apt", "/etc/debian_version", "/usr/lib/python3"),
)


def el_host_spec(
    *,
    removed: tuple[str, ...] = (),
    setup: str = "",
    tmpfs: Mapping[str, str] | None = None,
    is_root_read_only: bool = False,
) -> HostSpec:
    """Return the spec of the EL-shaped host, with additions."""
    return HostSpec(
        removed=(*REMOVED, *removed),
        setup=setup,
        tmpfs=tmpfs or {},
        is_root_read_only=is_root_read_only,
        os_release=OS_RELEASE,
        layer_script=_DATABASE_SCRIPT,
        files={
            "/etc/rocky-release": "Rocky Linux release 9.6 (Blue Onyx)\n",
            "/etc/redhat-release": "Rocky Linux release 9.6 (Blue Onyx)\n",
            "/etc/system-release-cpe": "cpe:/o:rocky:rocky:9::baseos\n",
        },
    )


def _spec_file() -> str:
    header = "License: none\nSummary: A package without files\n"
    lines = [f"Name: empty\nVersion: 1\nRelease: 1\nBuildArch: noarch\n{header}%description\nNone."]
    for name, version_release in PACKAGES.items():
        version, _, release = version_release.partition("-")
        lines.append(
            f"%package -n {name}\nVersion: {version}\nRelease: {release}\n"
            f"Summary: A package without files\n%description -n {name}\nNone.\n%files -n {name}"
        )
    return "\n".join(lines) + "\n"


_DATABASE_SCRIPT = f"""
cat > /tmp/empty.spec <<'END'
{_spec_file()}END
rpmbuild -bb --quiet --define '_topdir /tmp/rpmbuild' /tmp/empty.spec
mkdir -p /etc/rpm /var/lib/rpm
echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros
rpm --initdb
rpm -i --justdb --nodeps /tmp/rpmbuild/RPMS/noarch/*.rpm
"""
