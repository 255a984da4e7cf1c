# SPDX-License-Identifier: GPL-2.0-or-later
"""The one spec file that all packages come from, and their file lists. Pure text."""

import re
from collections.abc import Iterable, Mapping

from images.lab.file_ownership import OwnedPath, OwnedPaths
from images.lab.plan import ElPackage

_UNIT = re.compile(r"/usr/lib/systemd/system/([^/@]+\.(?:service|socket|timer|path))")

# Everything that would make rpmbuild change, strip, scan or delete what it packs.
_HEAD = """\
%global __os_install_post %{nil}
%global __spec_install_pre %{nil}
%global __find_provides %{nil}
%global __find_requires %{nil}
%global __check_files %{nil}
%global _use_internal_dependency_generator 0
%global debug_package %{nil}
%global _build_id_links none
%global _unpackaged_files_terminate_build 0
%global _binary_payload w1T0.zstdio
%define _build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm
%global source_date_epoch_from_changelog 0
Name: hardpan-lab-packages
Version: 1
Release: 1
Summary: Packages of the hardpan lab
License: as each package's copyright file says
AutoReqProv: no
%description
Real files of Debian packages under EL names.
"""


def render_spec(
    packages: Mapping[str, ElPackage],
    owned: OwnedPaths,
    presets: frozenset[str],
    account_provides: Iterable[str],
    scriptlets: Mapping[str, str],
) -> str:
    """The spec.

    ``account_provides`` are the ``user(x)`` and ``group(x)`` that setup provides,
    ``scriptlets`` the bodies of ``%post`` of packages that have one.
    """
    parts = [_HEAD]
    for p in packages.values():
        extra = tuple(account_provides) if p.name == "setup" else ()
        units = find_enabled_units(owned.get(p.name, ()), presets)
        parts.append(_render_package(p, extra, units, scriptlets.get(p.name, "")))
    return "".join(parts)


def render_file_list(entries: Iterable[OwnedPath]) -> str:
    """A ``%files -f`` list: attributes and a path per line."""
    return "".join(f"{_render_attributes(e)}{_quote_path(e.path)}\n" for e in entries) or "%dir /\n"


def find_enabled_units(entries: Iterable[OwnedPath], presets: frozenset[str]) -> tuple[str, ...]:
    """The unit files among them that the presets switch on."""
    matches = (_UNIT.fullmatch(e.path) for e in entries)
    return tuple(sorted(m[1] for m in matches if m and m[1] in presets))


def parse_preset(preset: str) -> frozenset[str]:
    """The units that a preset file enables."""
    rows = (line.split() for line in preset.splitlines())
    return frozenset(r[1] for r in rows if len(r) == 2 and r[0] == "enable")


def _render_package(
    p: ElPackage, extra: tuple[str, ...], started_units: tuple[str, ...], scriptlet: str
) -> str:
    v = p.version
    full_version = f"{v.epoch}:{v.version}-{v.release}" if v.epoch else f"{v.version}-{v.release}"
    lines = [
        f"%package -n {p.name}",
        *([f"Epoch: {v.epoch}"] if v.epoch else []),
        f"Version: {v.version}",
        f"Release: {v.release}",
        f"Summary: {_escape_percent(p.summary)}",
        "AutoReqProv: no",
        *(["BuildArch: noarch"] if p.noarch else []),
        *(f"Requires: {n}" for n in p.requires),
        # rpm allows no version on a provided path.
        *(
            f"Provides: {n}" if n.startswith("/") else f"Provides: {n} = {full_version}"
            for n in p.provides
        ),
        *(f"Provides: {n}" for n in extra),
        f"%description -n {p.name}",
        _escape_percent(
            f"{p.summary}. From Debian's {', '.join(p.members)}." if p.members else p.summary
        ),
        f"%files -n {p.name} -f %{{lists}}/{p.name}",
    ]
    if started_units or scriptlet:
        lines.append(f"%post -n {p.name}")
    if scriptlet:
        lines.append(_escape_percent(scriptlet.rstrip()))
    if started_units:
        lines += [
            'if [ "$1" -eq 1 ] && [ -x /usr/bin/systemctl ]; then',
            f"systemctl --no-reload preset {' '.join(started_units)} || :",
            "fi",
        ]
    if p.name == "glibc":
        lines += [
            "%transfiletriggerin -n glibc -P 2000000 -p /bin/sh -- /usr/lib",
            "/usr/sbin/ldconfig || :",
        ]
    return "\n".join(lines) + "\n"


def _render_attributes(e: OwnedPath) -> str:
    parts = (
        "%dir " if e.is_folder else "",
        "%ghost " if e.is_ghost else "",
        "%config(noreplace) " if e.is_config else "",
        f"%attr(-,{e.owner}) " if e.owner else "",
        f"%caps({e.capabilities}) " if e.capabilities else "",
    )
    return "".join(parts)


def _quote_path(path: str) -> str:
    escaped = re.sub(r"([\[\]*?{}\\])", r"\\\1", path).replace("%", "%%")
    return f'"{escaped}"' if re.search(r"\s", path) else escaped


def _escape_percent(line: str) -> str:
    return line.replace("%", "%%")
