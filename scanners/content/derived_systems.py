"""Systems that upstream's content is extended to, and how a system is recognized.

Upstream's content recognizes its own system by a release package or a file, never a rebuild or a
relative. Rebuilds of RHEL are recognized by their release packages, any other relative by the
``ID_LIKE`` of its os-release(5): its maker says that it is one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """An installed RPM package identifies the system."""

    package: str
    version: str
    """Pattern for the package's version."""

    def __str__(self) -> str:
        return f"package {self.package} has a version like {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OsReleaseCheck:
    """Lines of ``/etc/os-release`` identify the system."""

    patterns: tuple[str, ...]
    """Each matches one of its lines."""

    def __str__(self) -> str:
        return f"/etc/os-release has lines like {' and '.join(self.patterns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedSystem:
    """One system that the content is extended to."""

    key: str
    """Part of the generated ids."""

    title: str
    cpe: str
    check: PackageCheck | OsReleaseCheck


def _rebuild(key: str, title: str, cpe: str, package: str, major: int) -> DerivedSystem:
    return DerivedSystem(
        key=f"{key}{major}",
        title=f"{title} {major}",
        cpe=f"{cpe}:{major}",
        check=PackageCheck(package=package, version=rf"^{major}(\..*)?$"),
    )


def _enterprise_linux(major: int) -> tuple[DerivedSystem, ...]:
    return (
        _rebuild("rocky", "Rocky Linux", "cpe:/o:rocky:rocky", "rocky-release", major),
        _rebuild(
            "almalinux", "AlmaLinux", "cpe:/o:almalinux:almalinux", "almalinux-release", major
        ),
        _rebuild(
            "centos_stream", "CentOS Stream", "cpe:/o:centos:centos", "centos-stream-release", major
        ),
        _rebuild("hardpan_lab", "hardpan lab", "cpe:/o:hardpan:lab", "hardpan-lab-release", major),
        DerivedSystem(
            key=f"el{major}_relative",
            title=f"systems that declare themselves like RHEL {major}",
            cpe=f"cpe:/o:hardpan:like_rhel:{major}",
            check=OsReleaseCheck(
                patterns=(r"^ID_LIKE=.*\brhel\b", rf'^VERSION_ID="?{major}(\.[0-9.]+)?"?$')
            ),
        ),
    )


def _debian(major: int, codename: str) -> tuple[DerivedSystem, ...]:
    system = DerivedSystem(
        key=f"debian{major}_relative",
        title=f"systems that declare themselves like Debian {major}",
        cpe=f"cpe:/o:hardpan:like_debian:{major}",
        check=OsReleaseCheck(
            patterns=(r"^ID(_LIKE)?=.*\bdebian\b", rf'^VERSION_CODENAME="?{codename}"?$')
        ),
    )
    return (system,)


def _ubuntu(version: str, codename: str) -> tuple[DerivedSystem, ...]:
    system = DerivedSystem(
        key=f"ubuntu{version.replace('.', '')}_relative",
        title=f"systems that declare themselves like Ubuntu {version}",
        cpe=f"cpe:/o:hardpan:like_ubuntu:{version}",
        check=OsReleaseCheck(
            patterns=(r"^ID(_LIKE)?=.*\bubuntu\b", rf'^UBUNTU_CODENAME="?{codename}"?$')
        ),
    )
    return (system,)


SYSTEMS = {
    "cpe:/o:redhat:enterprise_linux:8": _enterprise_linux(8),
    "cpe:/o:redhat:enterprise_linux:9": _enterprise_linux(9),
    "cpe:/o:redhat:enterprise_linux:10": _enterprise_linux(10),
    "cpe:/o:debian:debian_linux:11": _debian(11, "bullseye"),
    "cpe:/o:debian:debian_linux:12": _debian(12, "bookworm"),
    "cpe:/o:debian:debian_linux:13": _debian(13, "trixie"),
    "cpe:/o:canonical:ubuntu_linux:22.04::~~lts~~~": _ubuntu("22.04", "jammy"),
    "cpe:/o:canonical:ubuntu_linux:24.04::~~lts~~~": _ubuntu("24.04", "noble"),
}
"""CPE of upstream's content -> systems that it is extended to. Oracle Linux has its own content."""
