# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages: dnf in a process of its own, with Anaconda's lines and refusals."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .config_files import make_printable
from .console import InstallerConsole
from .plan import InstallError, MiB, PackageSelection, Repository
from .process import LOGS, SYSROOT, append_log, run
from .release import Release

_IMAGE = Path("/run/install/repo/images/install.img")
_EXCLUDE_LIST = _IMAGE.with_name("installer-only.txt")
"""Paths of programs that only the installer uses."""

_EXCLUDED_PATHS = ("usr/libexec/hardpan-lab", "run/install")
"""The installer itself does not travel into the new system."""

_KERNEL = "kernel"
_PREFIX_BY_TOKEN = {"install": "Installing", "configure": "Configuring", "verify": "Verifying"}
_MESSAGE_BY_TOKEN = {
    "downloading": "Downloading packages",
    "preparing": "Preparing transaction from installation source",
    "post": "Performing post-installation setup tasks",
}


class MissingSpecsError(InstallError):
    """Packages or groups that the source has not; the message is dnf's."""


class BrokenSpecsError(InstallError):
    """Packages, groups or modules that cannot be installed; the message is dnf's."""


class DependencyError(InstallError):
    """The selection cannot be resolved; the message is dnf's."""


class TransactionError(InstallError):
    """The transaction failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSelection:
    """What dnf would install."""

    package_count: int
    install_mib: MiB
    download_mib: MiB
    image_mib: MiB
    """Installed size of the packages that the image has."""


def list_specs(packages: PackageSelection) -> tuple[list[str], list[str]]:
    """What Anaconda includes and excludes: the core group and a kernel by itself."""
    include = [f"@{packages.environment}"] if packages.environment else []
    exclude = [f"@{name}" for name in packages.excluded_groups]
    if packages.core:
        include.append("@core")
    else:
        exclude.append("@core")
    include += [f"@{name}" for name in packages.groups]
    include += packages.install
    exclude += packages.exclude
    if _KERNEL not in exclude:
        include.append(_KERNEL)
    return include, exclude


def build_request(
    packages: PackageSelection, repositories: tuple[Repository, ...], release: Release
) -> dict[str, object]:
    """What the process with dnf is sent."""
    include, exclude = list_specs(packages)
    macros = [] if packages.docs else [["_excludedocs", "1"]]
    if packages.languages is not None:
        macros.append(["_install_langs", packages.languages or "%{nil}"])
    return {
        "root": str(SYSROOT),
        "is_image": True,
        "release": release.version,
        "platform": f"platform:el{release.major}",
        "repositories": [[r.name, r.url] for r in repositories],
        "include": include,
        "exclude": exclude,
        "macros": macros,
        "weak_dependencies": packages.weak_dependencies,
        "ignore_missing": packages.ignore_missing,
    }


def parse_token(line: str) -> tuple[str, str]:
    """One line of the process with dnf."""
    token, text = json.loads(line)
    return str(token), str(text)


def resolve_tokens(tokens: Iterator[tuple[str, str]]) -> ResolvedSelection:
    """Read the answer to a request.

    Raises:
        InstallError: the kinds above.
    """
    for token, text in tokens:
        match token:
            case "resolved":
                sizes = json.loads(text)
                return ResolvedSelection(
                    package_count=sizes["packages"],
                    install_mib=MiB(-(-sizes["install_bytes"] // 2**20)),
                    download_mib=MiB(-(-sizes["download_bytes"] // 2**20)),
                    image_mib=MiB(-(-sizes["image_bytes"] // 2**20)),
                )
            case "missing":
                raise MissingSpecsError(text)
            case "broken":
                raise BrokenSpecsError(text)
            case "unresolved":
                raise DependencyError(text)
            case _:
                raise TransactionError(text or token)
    raise TransactionError("dnf ended without an answer")


def report_tokens(
    tokens: Iterator[tuple[str, str]], console: InstallerConsole, release: Release
) -> None:
    """Print a transaction as Anaconda does. Only Anaconda 34 has a line per verified package.

    Raises:
        TransactionError: it did not reach its end.
    """
    for token, text in tokens:
        if token == "quit":  # noqa: S105  (no password)
            return
        if token == "error":  # noqa: S105  (no password)
            raise TransactionError(format_transaction_error(text, release))
        if token in _MESSAGE_BY_TOKEN:
            console.print_line(_MESSAGE_BY_TOKEN[token])
        elif token in _PREFIX_BY_TOKEN and not (token == "verify" and release.major != 9):  # noqa: S105
            console.print_line(f"{_PREFIX_BY_TOKEN[token]} {text}")
    raise TransactionError("Payload error - DNF installation has ended up abruptly: ")


def format_transaction_error(text: str, release: Release) -> str:
    """The sentence that each release's Anaconda puts before dnf's."""
    prefix = "DNF error: " if release.major == 9 else "An error occurred during the transaction: "
    return f"{prefix}{text}"


class DnfProcess:
    """The process that runs ``dnf_transaction``; ends when the context does."""

    def __init__(self, request: dict[str, object]) -> None:
        append_log("packaging", f"dnf: {json.dumps(request)}")
        self._log = (LOGS / "packaging.log").open("a", encoding="utf-8")
        argv = [sys.executable, "-sP", "-m", f"{__package__}.dnf_transaction"]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            errors="replace",
        )
        self._send(json.dumps(request))

    def __enter__(self) -> "DnfProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.wait()
        self._log.close()

    def resolve(self) -> ResolvedSelection:
        """Wait until dnf has resolved the selection."""
        return resolve_tokens(self._read_tokens())

    def install(self, console: InstallerConsole, release: Release) -> None:
        """Run the transaction in the target, which is mounted by now."""
        self._send("install")
        report_tokens(self._read_tokens(), console, release)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101  (for the type checker)
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _read_tokens(self) -> Iterator[tuple[str, str]]:
        assert self._process.stdout is not None  # noqa: S101  (for the type checker)
        for line in self._process.stdout:
            append_log("packaging", make_printable(line))
            yield parse_token(line)


def unpack_image(print_line: Callable[[str], None]) -> None:
    """Unpack the media's image, with the lines of Anaconda's image payload.

    Raises:
        InstallError: the image cannot be unpacked.
    """
    argv = [
        "unsquashfs", "-force", "-dest", str(SYSROOT), "-processors", "2", "-percentage",
        "-no-wildcards", "-exclude-file", str(_EXCLUDE_LIST),
        "-excludes", str(_IMAGE), *_EXCLUDED_PATHS,
    ]  # fmt: skip
    last_percent = -1

    def print_progress(line: str) -> None:
        nonlocal last_percent
        percent = line.strip().rstrip("%")
        if percent.isdigit() and int(percent) // 10 != last_percent:
            last_percent = int(percent) // 10
            print_line(f"Installing software {int(percent)}%")

    run(argv, timeout_s=1800, on_line=print_progress, log="packaging")


def remove_excluded(packages: PackageSelection) -> None:
    """Remove what the image has and the kickstart excludes: dnf alone would not."""
    if not packages.exclude:
        return
    query = ["rpm", "--root", str(SYSROOT), "-qa", "--qf", "%{NAME}\\n", *packages.exclude]
    present = sorted(set(run(query, timeout_s=120, log="packaging").output.split()))
    if present:
        argv = ["dnf", "-y", f"--installroot={SYSROOT}", "--noplugins", "--disablerepo=*",
                "--noautoremove", "remove", *present]  # fmt: skip
        run(argv, timeout_s=600, log="packaging")
