"""Products of the SCAP content, and the products that suit a host by its os-release."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MAX_FIELD = 200
_MAJOR = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OsRelease:
    """The fields of os-release(5) that identify a system's content."""

    os_id: str
    """``ID``, e.g. ``rocky``."""

    id_like: tuple[str, ...] = ()
    """``ID_LIKE``, the nearest relative first."""

    version_id: str = ""
    """``VERSION_ID``, e.g. ``9.4``; empty for a rolling release."""

    codename: str = ""
    """``UBUNTU_CODENAME``, else ``VERSION_CODENAME``, e.g. ``bookworm``."""

    cpe_name: str = ""
    """``CPE_NAME``, e.g. ``cpe:/o:rocky:rocky:9::baseos``."""

    title: str = ""
    """``PRETTY_NAME``."""

    @property
    def major(self) -> str:
        """The first number of ``VERSION_ID``; empty when there is none."""
        match = _MAJOR.match(self.version_id)
        return match[0] if match else ""

    @property
    def distro(self) -> str:
        """Id and version of the distribution in package URLs, e.g. ``debian-12``."""
        return f"{self.os_id}-{self.version_id}" if self.version_id else self.os_id

    def __str__(self) -> str:
        fields = f"ID={self.os_id}, VERSION_ID={self.version_id or 'none'}"
        return f"{self.title} ({fields})" if self.title else fields


def read_os_release(fields: Mapping[str, str]) -> OsRelease:
    """Build an ``OsRelease`` from the fields of os-release(5)."""
    cut = {key: value[:_MAX_FIELD].strip() for key, value in fields.items()}
    return OsRelease(
        os_id=cut.get("ID", "linux").lower(),
        id_like=tuple(cut.get("ID_LIKE", "").lower().split()),
        version_id=cut.get("VERSION_ID", ""),
        codename=(cut.get("UBUNTU_CODENAME") or cut.get("VERSION_CODENAME", "")).lower(),
        cpe_name=cut.get("CPE_NAME", ""),
        title=cut.get("PRETTY_NAME", ""),
    )


_UBUNTU_CODENAMES = {"focal": "2004", "jammy": "2204", "noble": "2404", "resolute": "2604"}
_DEBIAN_CODENAMES = {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13"}

# RHEL's data stream comes first for its rebuilds: it has the STIG, and derive.py extends it.
_PRODUCTS_BY_ID: dict[str, Callable[[OsRelease], tuple[str, ...]]] = {
    "rhel": lambda r: (f"rhel{r.major}",),
    "rocky": lambda r: (f"rhel{r.major}", f"rl{r.major}"),
    "almalinux": lambda r: (f"rhel{r.major}", f"almalinux{r.major}"),
    "centos": lambda r: (f"rhel{r.major}", f"cs{r.major}", f"centos{r.major}"),
    "hardpan-lab": lambda r: (f"rhel{r.major}",),
    "ol": lambda r: (f"ol{r.major}",),
    "fedora": lambda _: ("fedora",),
    "debian": lambda r: (f"debian{r.major or _DEBIAN_CODENAMES.get(r.codename, '')}",),
    "ubuntu": lambda r: (f"ubuntu{r.version_id.replace('.', '')}",),
    "sles": lambda r: (f"sle{r.major}",),
    "sled": lambda r: (f"sle{r.major}",),
    "sles_sap": lambda r: (f"sle{r.major}",),
    "sle-micro": lambda r: (f"slmicro{r.major}",),
    "sl-micro": lambda r: (f"slmicro{r.major}",),
    "opensuse-leap": lambda _: ("opensuse",),
    "opensuse-tumbleweed": lambda _: ("opensuse",),
    "amzn": lambda r: (f"al{r.version_id}",),
    "alinux": lambda r: (f"alinux{r.major}",),
    "anolis": lambda r: (f"anolis{r.major}",),
    "openeuler": lambda r: (f"openeuler{r.version_id.replace('.', '')[:4]}",),
    "tencentos": lambda r: (f"tencentos{r.major}",),
    "rhcos": lambda r: (f"rhcos{r.major}",),
}

_PRODUCTS_BY_RELATIVE: dict[str, Callable[[OsRelease], tuple[str, ...]]] = {
    "rhel": lambda r: (f"rhel{r.major}",),
    "ubuntu": lambda r: (f"ubuntu{_UBUNTU_CODENAMES.get(r.codename, '')}",),
    "debian": lambda r: (f"debian{_DEBIAN_CODENAMES.get(r.codename, '')}",),
    "sles": lambda r: (f"sle{r.major}",),
}
"""For a system that has no content itself: a member of ``ID_LIKE`` -> products."""


def find_products(release: OsRelease) -> tuple[str, ...]:
    """Return the products that suit a system, the best first; empty if none is known.

    The content of the system itself comes before that of its relatives.
    """
    by_id = _PRODUCTS_BY_ID.get(release.os_id)
    products = list(by_id(release)) if by_id is not None else []
    for relative in release.id_like:
        by_relative = _PRODUCTS_BY_RELATIVE.get(relative)
        if by_id is None and by_relative is not None:
            products += by_relative(release)
    complete = (p for p in products if p == "fedora" or p == "opensuse" or p[-1].isdigit())
    return tuple(dict.fromkeys(complete))


_DEBIAN_PACKAGES = (("debian", "ssg-debian"), ("ubuntu", "ssg-debderived"))


def debian_package(product: str) -> str:
    """Return Debian's binary package that has the data stream of a product."""
    for prefix, package in _DEBIAN_PACKAGES:
        if product.startswith(prefix):
            return package
    return "ssg-nondebian"
