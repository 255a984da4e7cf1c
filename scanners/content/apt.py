"""Debian's packages of SCAP content, through apt's own signed metadata, in a private apt root.

``ssg-debian`` and ``ssg-debderived`` have the content for Debian and Ubuntu, ``ssg-nondebian`` the
others'. Debian 12 itself has old ones; trixie and sid have the STIG for RHEL 9. The private
apt root uses the archive that this machine's apt already uses; apt verifies the archive's
signature, and the signed index has the package's digest. The source names a suite, not a version:
the archive drops a version when the next one arrives.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.extracted_files import TreeLimits, check_tree, read_bytes
from hardpan.core.files import Sha256, require_free_space, sha256_file
from hardpan.core.limited_process import ProcessLimits, run_limited
from hardpan.core.limits import MAX_DATA_STREAM_BYTES
from hardpan.core.process import Argv, find_program, run
from hardpan.scanners.content.store import Product, file_name

SUITES = ("sid", "trixie")
"""The newest version wins; sid has it first."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_CONTENT = "usr/share/xml/scap/ssg/content"
_TARGETS = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:-]{0,99}")
_FIELDS = "${Package}|${source:Package}|${Version}"
_UNTRUSTED = re.compile(
    r"^[EW]: .*(?:NO_PUBKEY|BADSIG|EXPKEYSIG|is not signed|not live until|expired|Hash Sum mismatch"
    r"|unexpected size|signatures? (?:were|couldn't|could not))",
    re.MULTILINE,
)
"""apt's messages about an unexpected signature, date or digest of the archive."""

_UPDATE_TIMEOUT_S, _DOWNLOAD_TIMEOUT_S, _UNPACK_TIMEOUT_S = 300, 600, 120
_REQUIRED_MIB = 1024
_FALLBACK_HINT = (
    "scans work without it: see 'hardpan content list'; --content FILE takes any data stream"
)

# A package unpacks to 2 GB; a few files of it are extracted, and no complete folder.
_UNPACK = (
    'dpkg-deb --fsys-tarfile "$1" | tar --extract --no-same-owner --no-same-permissions'
    ' --no-recursion --directory "$2" "${@:3}"'
)
_PROCESS_LIMITS = ProcessLimits(max_file_bytes=MAX_DATA_STREAM_BYTES, max_memory_bytes=4 << 30)
_TREE_LIMITS = TreeLimits(max_files=128, max_total_bytes=4 << 30)
_MAX_NOTICE_BYTES = 4 << 20

OnPercent = Callable[[float], None]
"""Called with the downloaded percentage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCandidate:
    """The newest package of that name in the archive, before the download."""

    name: str
    version: str
    suite: str
    config: Path
    """Configuration of the private apt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadedContent:
    """The SCAP content of a downloaded package."""

    name: str
    source: str
    """Source package."""

    version: str
    suite: str
    sha256: Sha256
    """Digest of the package file, which apt verified against the signed index."""

    streams: dict[Product, bytes]
    notice: bytes
    """Its copyrights and licences."""


def find_newest(cache: Path, packages: tuple[str, ...]) -> tuple[PackageCandidate, ...]:
    """Find the newest of these packages in Debian's archive; the private apt is in ``cache``.

    Raises:
        ToolError: there is no apt, it has no Debian archive, or the archive does not answer.
        TrustError: the index is not signed by Debian's keys, or is out of date.
    """
    if find_program("apt-get") is None or find_program("dpkg-deb") is None or not KEYRING.is_file():
        raise ToolError(["apt-get"], "or Debian's keyring is not installed", hint=_FALLBACK_HINT)
    uri = find_archive()
    if not uri:
        raise ToolError(
            ["apt-get"], "knows no Debian archive to get content from", hint=_FALLBACK_HINT
        )
    config = _create_private_apt(cache / "content-apt", uri)
    env = {"APT_CONFIG": str(config)}
    argv = ["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"]
    try:
        run(argv, timeout_s=_UPDATE_TIMEOUT_S, env=env)
    except ToolError as e:
        _raise_if_untrusted(e, uri)
        reason = f"cannot read Debian's archive ({e})"
        raise ToolError(["apt-get"], reason, output_tail=e.output_tail, hint=_FALLBACK_HINT) from e
    madison = run(["apt-cache", "madison", *packages], timeout_s=60, env=env).stdout
    candidates = []
    for package in packages:
        version, suite = parse_madison(madison, package)
        candidates.append(
            PackageCandidate(name=package, version=version, suite=suite, config=config)
        )
    return tuple(candidates)


def download(
    candidate: PackageCandidate, products: tuple[Product, ...], cache: Path, on_percent: OnPercent
) -> DownloadedContent:
    """Download the suite's package and extract the data streams of ``products``.

    Raises:
        ToolError: the download fails, or the package lacks a data stream.
        InputError: the package has something else in the place of one.
        TrustError: its digest is not that of the signed index, or it is another package or
            version than the index lists.
        ResourceError: there is not enough disk space.
    """
    require_free_space(cache, _REQUIRED_MIB, purpose="downloading SCAP content")
    with tempfile.TemporaryDirectory(prefix="content-", dir=cache) as name:
        folder = Path(name)
        deb = _download_package(candidate, folder, on_percent)
        return unpack(deb, candidate, products, folder / "unpacked")


def unpack(
    deb: Path, candidate: PackageCandidate, products: tuple[Product, ...], folder: Path
) -> DownloadedContent:
    """Extract the data streams of ``products`` from a package into the new folder ``folder``.

    apt verified the package; its files are read as untrusted nevertheless.

    Raises:
        ToolError: it is no package, or lacks a data stream.
        InputError: a data stream is a link, no regular file, or too long.
        TrustError: it is another package or version than the index lists.
    """
    show: Argv = ["dpkg-deb", "--show", f"--showformat={_FIELDS}", deb]
    output = run_limited(show, limits=_PROCESS_LIMITS, timeout_s=60).stdout
    fields = output.split("|")
    if len(fields) != len(_FIELDS.split("|")) or not all(map(_FIELD.fullmatch, fields)):
        raise InputError(
            f"{deb.name}: expected a package with name and version, got {output[:200]!a}"
        )
    package, source, version = fields
    if (package, version) != (candidate.name, candidate.version):
        raise TrustError(
            f"the downloaded package: expected {candidate.name} {candidate.version}, "
            f"got {package} {version}"
        )
    notice = f"usr/share/doc/{package}/copyright"
    path_by_product = {p: f"{_CONTENT}/{file_name(p)}" for p in products}
    names = [f"./{name}" for name in (*path_by_product.values(), notice)]
    folder.mkdir()
    run_limited(
        ["bash", "-o", "pipefail", "-c", _UNPACK, "bash", deb, folder, *names],
        limits=_PROCESS_LIMITS,
        timeout_s=_UNPACK_TIMEOUT_S,
        hint=f"{package} {version} may have no data stream for one of: {', '.join(products)}",
    )
    check_tree(folder, _TREE_LIMITS)
    return DownloadedContent(
        name=package,
        source=source,
        version=version,
        suite=candidate.suite,
        sha256=sha256_file(deb),
        streams={
            p: read_bytes(folder, n, max_bytes=MAX_DATA_STREAM_BYTES)
            for p, n in path_by_product.items()
        },
        notice=read_bytes(folder, notice, max_bytes=_MAX_NOTICE_BYTES),
    )


def find_archive() -> str:
    """Return the Debian archive that this machine's apt uses; empty when it uses none."""
    targets = run(
        ["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"], timeout_s=60
    )
    archive_uri = parse_archive(targets.stdout)
    if archive_uri:
        return archive_uri
    # Before the first 'apt-get update' the origin is unknown; then the URI decides.
    uri_targets = run(["apt-get", "indextargets", "--format", "|||$(REPO_URI)"], timeout_s=60)
    uris = {line.rpartition("|")[2] for line in uri_targets.stdout.splitlines()}
    return next((u for u in sorted(uris) if re.search(r"/debian/?$", u)), "")


def parse_archive(text: str) -> str:
    """Find the archive of Debian itself in the output of ``apt-get indextargets``."""
    for line in sorted(text.splitlines()):
        origin, codename, component, uri = (line.split("|") + [""] * 4)[:4]
        if origin == "Debian" and component == "main" and "-" not in codename:
            return uri
    return ""


def parse_madison(madison: str, package: str) -> tuple[str, str]:
    """Parse version and suite of a package's newest one, which ``apt-cache madison`` lists first.

    Raises:
        ToolError: it lists none.
    """
    for line in madison.splitlines():
        fields = [f.strip() for f in line.split("|")]
        if len(fields) == 3 and fields[0] == package:
            tokens = fields[2].split()
            suite = next((w.partition("/")[0] for w in tokens if "/" in w and ":" not in w), "")
            return fields[1], suite
    raise ToolError(
        ["apt-get"], f"finds no {package} in {' or '.join(SUITES)}", hint=_FALLBACK_HINT
    )


def parse_percentage(line: str) -> float | None:
    """Parse the downloaded percentage in a line of apt's status; None for any other line."""
    match = re.match(r"dlstatus:[^:]*:([0-9]+(?:\.[0-9]+)?):", line)
    return float(match[1]) if match else None


def _download_package(candidate: PackageCandidate, folder: Path, on_percent: OnPercent) -> Path:
    def on_line(line: str) -> None:
        percent = parse_percentage(line)
        if percent is not None:
            on_percent(percent)

    argv = [
        "apt-get",
        "download",
        "-q",
        "-o",
        "APT::Status-Fd=2",
        f"{candidate.name}/{candidate.suite}",
    ]
    env = {"APT_CONFIG": str(candidate.config)}
    try:
        run(argv, timeout_s=_DOWNLOAD_TIMEOUT_S, env=env, cwd=folder, on_line=on_line)
    except ToolError as e:
        _raise_if_untrusted(e, f"{candidate.name} {candidate.version}")
        reason = f"cannot download {candidate.name} {candidate.version} from Debian's archive ({e})"
        tail = "\n".join(x for x in e.output_tail.splitlines() if parse_percentage(x) is None)
        raise ToolError(["apt-get"], reason, output_tail=tail, hint=_FALLBACK_HINT) from e
    packages = list(folder.glob("*.deb"))
    if len(packages) != 1:
        raise ToolError(
            ["apt-get"], f"left {len(packages)} packages, expected one", hint=_FALLBACK_HINT
        )
    return packages[0]


def _raise_if_untrusted(error: ToolError, subject: str) -> None:
    """Raise ``TrustError`` if apt failed because of a signature, a date or a digest."""
    match = _UNTRUSTED.search(error.output_tail)
    if match is not None:
        line = error.output_tail[match.start() :].splitlines()[0]
        raise TrustError(
            f"{subject}: is not what Debian signed: apt-get says {line[:300]}",
            hint="nothing was stored; if it persists, compare with another mirror",
        ) from error


def _create_private_apt(workdir: Path, uri: str) -> Path:
    for part in ("state/lists/partial", "cache/archives/partial"):
        (workdir / part).mkdir(parents=True, exist_ok=True)
    sources = workdir / "sources.list"
    # Options of a source override what the machine's apt.conf.d may allow for its own sources.
    options = f"signed-by={KEYRING} allow-insecure=no allow-weak=no allow-downgrade-to-insecure=no"
    lines = [f"deb [{options}] {uri} {suite} main\n" for suite in SUITES]
    sources.write_text("".join(lines), "utf-8")
    # The machine's own apt.conf.d stays in force: it has proxies and credentials.
    settings = {
        "Dir::Etc::sourcelist": sources.absolute(),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": (workdir / "state").absolute(),
        "Dir::State::status": "/dev/null",
        "Dir::Cache": (workdir / "cache").absolute(),
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    config = workdir / "apt.conf"
    config.write_text("".join(f'{k} "{v}";\n' for k, v in settings.items()), "utf-8")
    return config.absolute()
