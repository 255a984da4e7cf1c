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


def stanzas(text: str) -> Iterator[dict[str, str]]:
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


def alternatives(field: str) -> tuple[tuple[str, ...], ...]:
    """``a (>= 1), b:any | c`` as ``(("a",), ("b", "c"))``."""
    rows = []
    for row in field.replace("\n", " ").split(","):
        names = (_NAME.match(part.strip()) for part in row.split("|"))
        found = tuple(m[0] for m in names if m)
        if found:
            rows.append(found)
    return tuple(rows)


def merged(path: str) -> str:
    """The path as it is after the merge of /bin, /sbin and /lib into /usr."""
    return _MERGED.sub(r"/usr/\1/", path)


def package(fields: dict[str, str], listing: str) -> DebPackage:
    """A package from its stanza and the text of its file list."""
    conffiles = (line.split() for line in fields.get("Conffiles", "").splitlines())
    provides = alternatives(fields.get("Provides", ""))
    needs = (fields[k] for k in ("Pre-Depends", "Depends") if fields.get(k))
    return DebPackage(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields.get("Architecture", "all"),
        summary=fields.get("Description", fields["Package"]).splitlines()[0],
        depends=alternatives(", ".join(needs)),
        provides=tuple(name for row in provides for name in row),
        conffiles=frozenset(merged(c[0]) for c in conffiles if c and c[-1] != "obsolete"),
        files=tuple(merged(p) for p in listing.splitlines() if p != "/."),
    )


def read(root: Path) -> tuple[DebPackage, ...]:
    """All installed packages of a root."""
    info = root / "var/lib/dpkg/info"
    status = (root / "var/lib/dpkg/status").read_text("utf-8")
    found = []
    for fields in stanzas(status):
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name = fields["Package"]
        lists = (info / f"{name}.list", info / f"{name}:{fields['Architecture']}.list")
        listing = next((p.read_text("utf-8") for p in lists if p.exists()), "")
        found.append(package(fields, listing))
    return tuple(sorted(found, key=lambda p: p.name))
