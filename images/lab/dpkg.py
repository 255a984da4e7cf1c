# SPDX-License-Identifier: GPL-2.0-or-later
"""What dpkg knows about the root: packages, dependencies, files. Pure parsing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MERGED = re.compile(r"^/(bin|sbin|lib|lib64)/")
_NAME = re.compile(r"^[a-z0-9][a-z0-9+.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebPackage:
    """One installed Debian package."""

    name: str
    version: str
    architecture: str
    """``all`` or the machine's."""

    summary: str
    """First line of the description."""

    depends: tuple[tuple[str, ...], ...] = ()
    """Each a row of alternatives, names only; Pre-Depends first."""

    provides: tuple[str, ...] = ()
    """Virtual names."""

    conffiles: frozenset[str] = frozenset()
    """Paths that dpkg treats as configuration."""

    files: tuple[str, ...] = ()
    """Everything it lists, folders included, with /usr merged."""


def parse_stanzas(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a control file; continuation lines keep their newline."""
    for block in re.split(r"\n{2,}", text.strip()):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line[:1] in {" ", "\t"}:
                fields[key] += "\n" + line.strip()
            else:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        if fields:
            yield fields


def parse_dependencies(field: str) -> tuple[tuple[str, ...], ...]:
    """``a (>= 1), b:any | c`` as ``(("a",), ("b", "c"))``."""
    groups = []
    for group in field.replace("\n", " ").split(","):
        matches = (_NAME.match(part.strip()) for part in group.split("|"))
        package_names = tuple(m[0] for m in matches if m)
        if package_names:
            groups.append(package_names)
    return tuple(groups)


def merge_usr(path: str) -> str:
    """The path as it is after the merge of /bin, /sbin and /lib into /usr."""
    return _MERGED.sub(r"/usr/\1/", path)


def parse_package(fields: dict[str, str], listing: str) -> DebPackage:
    """A package from its stanza and the text of its file list."""
    conffiles = (line.split() for line in fields.get("Conffiles", "").splitlines())
    provides = parse_dependencies(fields.get("Provides", ""))
    dependency_fields = (fields[k] for k in ("Pre-Depends", "Depends") if fields.get(k))
    return DebPackage(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields.get("Architecture", "all"),
        summary=fields.get("Description", fields["Package"]).splitlines()[0],
        depends=parse_dependencies(", ".join(dependency_fields)),
        provides=tuple(name for row in provides for name in row),
        conffiles=frozenset(merge_usr(c[0]) for c in conffiles if c and c[-1] != "obsolete"),
        files=tuple(merge_usr(p) for p in listing.splitlines() if p != "/."),
    )


def read_packages(root: Path) -> tuple[DebPackage, ...]:
    """All installed packages of a root."""
    info = root / "var/lib/dpkg/info"
    status = (root / "var/lib/dpkg/status").read_text("utf-8")
    packages = []
    for fields in parse_stanzas(status):
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name = fields["Package"]
        lists = (info / f"{name}.list", info / f"{name}:{fields['Architecture']}.list")
        listing = next((p.read_text("utf-8") for p in lists if p.exists()), "")
        packages.append(parse_package(fields, listing))
    return tuple(sorted(packages, key=lambda p: p.name))
