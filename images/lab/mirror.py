# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the Debian packages come from, and which versions they resolve to today.

The archive's address is the machine's own: it is read from apt, never written
into a file here. Trust is apt's: the indices are signed, the keyring is
Debian's, and a private apt state keeps the machine's own one untouched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hardpan.core.errors import InputError, ToolError
from hardpan.core.process import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

STALL_S = 20
"""Seconds without data after which apt ends a connection."""

RETRIES = 2
"""Further attempts that apt makes after a download has failed."""

DOWNLOAD_LIMIT_S = 4 * 3600
"""Limit of a program that downloads; one without progress ends by ``STALL_S`` long before."""

_SIMULATION_LIMIT_S = 1200
"""apt reads all indices: 10 s of a processor, and many times that where others use it."""

_INST = re.compile(r"^Inst (?P<name>\S+) (?:\[\S+\] )?\((?P<version>\S+) ")
_TARGETS = "$(REPO_URI)|$(ORIGIN)|$(COMPONENT)|$(CODENAME)"
_PROXIES = re.compile(r'^(Acquire::(?:http|https)::Proxy(?:::\S*)?) "(.*)";$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A Debian archive and the release that is taken from it."""

    uri: str
    """The archive's address, as apt knows it."""

    suite: str
    """The release, e.g. ``trixie``."""

    proxies: tuple[str, ...] = ()
    """apt settings (``Acquire::http::Proxy "…";``) of this machine, if it has any."""


def find_mirror(suite: str, override: str | None = None) -> Mirror:
    """The Debian archive this machine uses, or the one that was named.

    Raises:
        InputError: this machine's apt knows none and none was named.
    """
    proxies = tuple(f'{k} "{v}";' for k, v in _PROXIES.findall(_dump_apt_config()))
    if override:
        return Mirror(uri=_validate_uri(override), suite=suite, proxies=proxies)
    output = run(
        ["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"], timeout_s=60
    ).stdout
    uri = select_archive(output)
    if uri is None:
        raise InputError(
            "this machine's apt knows no Debian archive",
            hint="name one with --mirror URI",
        )
    return Mirror(uri=uri, suite=suite, proxies=proxies)


def select_archive(targets: str) -> str | None:
    """The main Debian archive among apt's index targets, or None.

    The security archive and the update suites hold only a part, so a release's
    own suite wins over ``NAME-updates``; Ubuntu's or a vendor's archive is no
    Debian archive at all.
    """
    best: tuple[int, str] | None = None
    for line in targets.splitlines():
        uri, origin, component, codename = (line.split("|") + [""] * 4)[:4]
        if origin != "Debian" or component != "main" or not uri:
            continue
        rank = ("security" in uri or "-security" in codename) * 2 + ("-" in codename)
        if best is None or rank < best[0]:
            best = (rank, uri.rstrip("/"))
    return best[1] if best and best[0] < 2 else None


def resolve_packages(
    mirror: Mirror, packages: Sequence[str], state: Path
) -> tuple[dict[str, str], bool]:
    """What apt would install into an empty root: name -> version, and whether it is fresh.

    The indices are refreshed first. Where the archive does not answer, the ones
    of the last run are used and the second value is False.

    Raises:
        ToolError: apt cannot satisfy the packages, or there are no indices at all.
    """
    config = _write_apt_config(mirror, state)
    env = {"APT_CONFIG": str(config)}
    hint = "check apt's sources and the network, or name an archive with --mirror URI"
    update = ["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"]
    is_fresh = True
    try:
        run(update, timeout_s=DOWNLOAD_LIMIT_S, env=env, hint=hint)
    except ToolError:
        if not any((state / "lists").glob("*_Packages*")):
            raise
        is_fresh = False
    simulated = run(
        ["apt-get", "install", "-s", "-qq", "--no-install-recommends", *packages, "?essential"],
        timeout_s=_SIMULATION_LIMIT_S,
        env=env,
        hint=hint,
    )
    return parse_simulation(simulated.stdout), is_fresh


def format_download_options() -> tuple[str, ...]:
    """Return apt's options that end a download without progress."""
    return (
        f'Acquire::Retries "{RETRIES}"',
        f'Acquire::http::Timeout "{STALL_S}"',
        f'Acquire::https::Timeout "{STALL_S}"',
    )


def parse_simulation(text: str) -> dict[str, str]:
    """The packages and versions that ``apt-get -s`` says it would install."""
    matches = (m for m in map(_INST.match, text.splitlines()) if m)
    return dict(sorted((m["name"], m["version"]) for m in matches))


def _write_apt_config(mirror: Mirror, state: Path) -> Path:
    for part in ("lists/partial", "cache", "state", "etc/apt.conf.d", "etc/preferences.d"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "state/status").touch()
    source = f"deb [signed-by={KEYRING}] {mirror.uri} {mirror.suite} main\n"
    (state / "etc/sources.list").write_text(source, "utf-8")
    lines = (
        f'Dir::State "{state}/state";',
        f'Dir::State::lists "{state}/lists";',
        f'Dir::State::status "{state}/state/status";',
        f'Dir::Cache "{state}/cache";',
        f'Dir::Etc "{state}/etc";',
        'Dir::Etc::sourceparts "-";',
        'APT::Architecture "amd64";',
        'APT::Architectures { "amd64"; };',
        'APT::Sandbox::User "root";',
        'Acquire::Languages "none";',
        *(f"{option};" for option in format_download_options()),
        *mirror.proxies,
    )
    config = state / "apt.conf"
    config.write_text("\n".join(lines) + "\n", "utf-8")
    return config


def _dump_apt_config() -> str:
    return run(["apt-config", "dump"], timeout_s=30).stdout


def _validate_uri(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https", "file", "copy"} or re.search(r"[\s\"\[\]]", uri):
        raise InputError(f"--mirror {uri!r}: expected an http, https or file address")
    return uri.rstrip("/")
