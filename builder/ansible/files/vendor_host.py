#!/usr/bin/python3 -I
"""Repositories, packages and the kernel of a host: shared by the programs of the vendor layers.

Runs as root on Python 3.9 or later with the standard library only. A role gives this file,
followed by its own program, to Python; the program imports it under the name ``vendor_host``.
"""

import base64
import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Union

Installed = dict[str, list[tuple[str, str]]]
"""Package name -> installed versions, as (version, complete EVR)."""

TRANSACTION_TIMEOUT_S = 3000
COMMAND_TIMEOUT_S = 300
MAX_OUTPUT_CHARS = 1500
KEYS = Path("/etc/pki/rpm-gpg")
REPOS = Path("/etc/yum.repos.d")
MODULES = Path("/etc/dnf/modules.d")
MEDIA = Path("/run/hardpan-media")
MEDIA_DEVICE = "/dev/sr0"
BUILD_ONLY = Path("/run/hardpan-repos")
ENV = {"HOME": "/root", "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
PROXY: dict[str, str] = {}
# Only repositories of the profile are used, and every signature is checked.
DNF = ["dnf", "-y", "-q", "--disablerepo=*", "--enablerepo=hardpan-*", "--setopt=gpgcheck=1"]
DNF += [f"--setopt=reposdir={REPOS},{BUILD_ONLY}"]
DNF += ["--setopt=localpkg_gpgcheck=1", "--setopt=install_weak_deps=0", "--setopt=strict=1"]
DIST = re.compile(r"\.[a-z]+[0-9]+(_[0-9]+)?$")

changes: list[str] = []


def fail(text: str) -> NoReturn:
    """Print an error and exit with 1."""
    sys.exit(text)


def run(argv: Sequence[str], timeout_s: int = COMMAND_TIMEOUT_S, ok: Collection[int] = (0,)) -> str:
    """Run a program and return its stdout; on failure exit with the end of its output."""
    env = {**ENV, **PROXY} if argv[0] == "dnf" else ENV
    process = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, env=env, timeout=timeout_s, check=False
    )
    stdout = process.stdout.decode("utf-8", "replace")
    if process.returncode not in ok:
        output = (stdout + process.stderr.decode("utf-8", "replace")).strip()
        command = " ".join([argv[0], *argv[-3:]])
        fail(f"{command} exited with {process.returncode}: {output[-MAX_OUTPUT_CHARS:]}")
    return stdout


def record_change(text: str) -> None:
    """Report a change."""
    changes.append(text)
    sys.stdout.write(f"{text}\n")


def write(path: Union[str, Path], text: Union[str, bytes], mode: int = 0o644) -> bool:
    """Write a file if its content or mode differs."""
    path = Path(path)
    data = text if isinstance(text, bytes) else text.encode()
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return False
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.new")
    temp.write_bytes(data)
    temp.chmod(mode)
    temp.replace(path)
    record_change(f"wrote {path}")
    return True


def installed() -> Installed:
    """Return package name -> installed versions, as (version, complete EVR)."""
    form = "%{NAME} %{VERSION} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"
    versions: Installed = {}
    for line in run(["rpm", "-qa", "--qf", form]).splitlines():
        name, version, evr = line.split()
        versions.setdefault(name, []).append((version, evr))
    return versions


class Kernel:
    """The installed kernel: version and release of its package, and its module folder."""

    def __init__(self, installed: Installed) -> None:
        """Find the only installed kernel; exit if there are two: a module fits one of them."""
        kernel_builds = [evr.partition(":")[2] for _, evr in installed.get("kernel-core", [])]
        if len(kernel_builds) != 1:
            listing = ", ".join(sorted(kernel_builds)) or "none"
            fail(f"expected one kernel-core, got {len(kernel_builds)}: {listing}")
        self.package = kernel_builds[0]
        folders = sorted(p.name for p in Path("/lib/modules").iterdir() if (p / "kernel").is_dir())
        matching = [name for name in folders if name.rpartition(".")[0] == self.package]
        if len(matching or folders) != 1:
            fail(f"expected modules of one kernel, got {', '.join(folders) or 'none'}")
        self.release = (matching or folders)[0]

    def resolve(self, package: Mapping[str, str]) -> tuple[str, str]:
        """Return name and version of a package, with the kernel's version filled in."""
        name, version = package["name"], package["version"]
        if package["of_kernel"] == "name":
            # NVIDIA's names omit the dist tag: 5.14.0-611.5.1 for el9_7.
            name = f"{name}-{DIST.sub('', self.package)}"
        elif package["of_kernel"] == "version":
            version = self.package
        return name, version


def repositories(requested: Iterable[Mapping[str, Any]]) -> None:
    """Write keys and repository files; dnf treats several addresses in one section as mirrors."""
    for repository in requested:
        key = signing_key(repository)
        sections = (
            f"[{name}]\nname={name}\nbaseurl={url}\nenabled=1\ngpgcheck=1\n"
            f"gpgkey=file://{key}\nsslverify=1\nskip_if_unavailable=0\n"
            for n, url in enumerate(repository["urls"], 1)
            for name in [repository["id"] if n == 1 else f"{repository['id']}-{n}"]
        )
        write_repository(repository, f"{repository['id']}.repo", "\n".join(sections).encode())


def write_repository(repository: Mapping[str, Any], name: str, data: bytes) -> Path:
    """Write a repository's file; one that only the build uses is in memory, and is no change."""
    if not repository["build_only"]:
        path = (REPOS if name.endswith(".repo") else KEYS) / name
        write(path, data)
        return path
    BUILD_ONLY.mkdir(mode=0o700, exist_ok=True)
    path = BUILD_ONLY / name
    path.write_bytes(data)
    return path


def signing_key(repository: Mapping[str, Any]) -> Path:
    """Return the file of a repository's key; exit if the host's own key is another one."""
    if not repository["key_file"]:
        name = f"RPM-GPG-KEY-{repository['id']}"
        return write_repository(repository, name, base64.b64decode(repository["key"]))
    path = Path(repository["key_file"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if digest != repository["key_sha256"]:
        fail(f"{path}: expected sha256 {repository['key_sha256']}, got {digest}")
    return path


def public_keys() -> set[str]:
    """Return the keys that rpm trusts."""
    return set(run(["rpm", "-q", "gpg-pubkey"], ok=(0, 1)).split("\n")) - {""}


@contextlib.contextmanager
def build_repositories(requested: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Make the repositories available that only the build uses, and remove them afterwards.

    The install media are mounted without devices and programs; rpm trusts the keys for as long.
    """
    old_keys = public_keys()
    is_on_media = any(u.startswith(f"file://{MEDIA}/") for r in requested for u in r["urls"])
    is_mounted = is_on_media and not MEDIA.is_mount()
    if is_mounted:
        MEDIA.mkdir(mode=0o755, exist_ok=True)
        options = "ro,nodev,nosuid,noexec"
        run(["mount", "-t", "iso9660", "-o", options, MEDIA_DEVICE, str(MEDIA)])
    repositories(requested)
    build_keys = [f"RPM-GPG-KEY-{r['id']}" for r in requested if r["build_only"] and r["key"]]
    for name in build_keys:
        run(["rpm", "--import", str(BUILD_ONLY / name)])
    new_keys = public_keys() - old_keys
    try:
        yield
    finally:
        if new_keys:
            run(["rpm", "-e", *sorted(new_keys)])
        shutil.rmtree(BUILD_ONLY, ignore_errors=True)
        if is_mounted:
            run(["umount", str(MEDIA)])


def streams(requested: Iterable[str]) -> None:
    """Enable module streams; exit if another stream of the module is enabled."""
    for stream in requested:
        name, _, stream_name = stream.partition(":")
        file = MODULES / f"{name}.module"
        text = file.read_text() if file.is_file() else ""
        if f"stream={stream_name}\n" in text and "state=enabled" in text:
            continue
        run([*DNF, "module", "enable", stream], TRANSACTION_TIMEOUT_S)
        record_change(f"enabled module {stream}")


def use_proxy(proxy: str) -> None:
    """Make dnf use a proxy; as an argument it would be stored in dnf's history."""
    if proxy:
        PROXY.update(http_proxy=proxy, https_proxy=proxy)


# The program that follows imports this module from the same text.
sys.modules.setdefault("vendor_host", sys.modules[__name__])
