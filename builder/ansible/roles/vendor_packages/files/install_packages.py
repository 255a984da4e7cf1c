#!/usr/bin/python3 -I
"""Install a vendor's packages on this host from named repositories, and verify them.

    install_packages.py < REQUEST.json

Runs as root on Python 3.9 or later with the standard library only. Prints one line per
change, and at the end ``changed`` or ``unchanged``; on an error prints it to stderr and exits
with 1. Idempotent: it can be run again after an interruption at any point.
"""

import base64
import contextlib
import fnmatch
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

Installed = dict[str, list[tuple[str, str]]]
"""Package name -> installed versions, as (version, complete EVR)."""

TRANSACTION_TIMEOUT_S = 3000
COMMAND_TIMEOUT_S = 300
MAX_OUTPUT_CHARS = 1500
KEYS = Path("/etc/pki/rpm-gpg")
REPOS = Path("/etc/yum.repos.d")
LOCKS = Path("/etc/dnf/plugins/versionlock.list")
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

NO_KERNEL = "the request has a kernel module: expected single_kernel: true, got false"

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


def name_and_version(package: Mapping[str, str]) -> tuple[str, str]:
    """Return name and version of a package that does not depend on the kernel."""
    return package["name"], package["version"]


def forbidden(rules: Iterable[Mapping[str, Any]]) -> None:
    """Exit if the host has something that would undo the layer."""
    for rule in rules:
        pattern = re.compile(rule["pattern"], re.MULTILINE)
        for path in sorted(p for part in rule["paths"] for p in Path("/").glob(part[1:])):
            match = path.is_file() and pattern.search(path.read_text("utf-8", "replace"))
            if match:
                fail(f"{path}: {match[0].strip()}: {rule['reason']}")


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


def packages(requested: Sequence[tuple[str, str]], same_version: Mapping[str, Any]) -> Installed:
    """Install missing packages at their versions; exit if another version is installed."""
    installed_versions = installed()
    check_same_version(installed_versions, same_version)
    missing = []
    for name, version in requested:
        versions = [v for v, _ in installed_versions.get(name, [])]
        releases = [evr.partition(":")[2] for _, evr in installed_versions.get(name, [])]
        if not versions and not provided(name, installed_versions):
            missing.append(f"{name}-{version}" if version else name)
        elif versions and version and version not in versions + releases:
            fail(f"{name}: expected {version}, got {', '.join(versions)} installed")
    if missing:
        run([*DNF, "install", *missing], TRANSACTION_TIMEOUT_S)
        record_change(f"installed {' '.join(missing)}")
        installed_versions = installed()
    for name, version in requested:
        versions = [
            x for v, evr in installed_versions.get(name, []) for x in (v, evr.partition(":")[2])
        ]
        if (version and version not in versions) or not provided(name, installed_versions):
            listing = ", ".join(versions) or "none"
            fail(f"{name}: expected {version or 'it'} installed, got {listing}")
    check_same_version(installed_versions, same_version)
    return installed_versions


def provided(name: str, installed_versions: Installed) -> bool:
    """Return whether an installed package has or provides the name."""
    if name in installed_versions:
        return True
    return not run(["rpm", "-q", "--whatprovides", name], ok=(0, 1)).startswith("no ")


def check_same_version(installed_versions: Installed, same_version: Mapping[str, Any]) -> None:
    """Exit unless every package of these patterns has the same version."""
    for name in matching(installed_versions, same_version):
        mismatches = [v for v, _ in installed_versions[name] if v != same_version["version"]]
        if mismatches:
            fail(
                f"{name}: expected {same_version['version']}, got {mismatches[0]} installed:"
                " kernel module and user space must have one version"
            )


def matching(installed_versions: Installed, same_version: Mapping[str, Any]) -> list[str]:
    """Return the installed packages that must have the same version."""
    patterns = same_version["patterns"] if same_version["version"] else []
    return sorted(n for n in installed_versions if any(fnmatch.fnmatch(n, p) for p in patterns))


def lock(names: Iterable[str], installed_versions: Installed) -> None:
    """Lock packages at their installed versions; other lines of the list are preserved."""
    old_text = LOCKS.read_text() if LOCKS.is_file() else ""
    lines = old_text.splitlines()
    for name in names:
        lines += [
            x for x in (f"{name}-{evr}.*" for _, evr in installed_versions[name]) if x not in lines
        ]
    new_text = "".join(f"{line}\n" for line in lines)
    if new_text != old_text:
        write(LOCKS, new_text)


def dkms(module: str, kernel: Optional[Kernel]) -> None:
    """Build a module for the installed kernel, regardless of the running one."""
    if not module:
        return
    if kernel is None:
        fail(NO_KERNEL)

    def built() -> bool:
        status = run(["dkms", "status", "-k", kernel.release])
        return any(x.startswith(module) and "installed" in x for x in status.splitlines())

    if not built():
        run(["dkms", "autoinstall", "-k", kernel.release], TRANSACTION_TIMEOUT_S)
        record_change(f"built {module} for {kernel.release}")
        if not built():
            fail(f"dkms built no {module} for {kernel.release}")


def module(requested: Mapping[str, str], kernel: Optional[Kernel]) -> None:
    """Check that a precompiled, signed module of this version exists for the installed kernel."""
    if not requested["name"]:
        return
    if kernel is None:
        fail(NO_KERNEL)
    files = sorted(Path("/lib/modules", kernel.release).rglob(f"{requested['name']}.ko*"))
    if len(files) != 1:
        fail(f"expected one {requested['name']}.ko for {kernel.release}, got {len(files)}")
    version, signer = (
        run(["modinfo", "-F", x, str(files[0])]).strip() for x in ("version", "signer")
    )
    if version != requested["version"]:
        fail(f"{files[0]}: expected version {requested['version']}, got {version or 'none'}")
    if not signer:
        fail(f"{files[0]}: expected the site's signature, got none: Secure Boot would refuse it")


def initramfs(requested: Mapping[str, Any], kernel: Optional[Kernel]) -> None:
    """Rebuild the initramfs if its inputs are newer, and check its content."""
    if not requested["sources"]:
        return
    if kernel is None:
        fail(NO_KERNEL)
    image = Path(f"/boot/initramfs-{kernel.release}.img")
    newest = max(Path(p).stat().st_mtime_ns for p in requested["sources"])
    if image.is_file() and image.stat().st_mtime_ns >= newest:
        return
    run(["dracut", "--force", str(image), kernel.release], TRANSACTION_TIMEOUT_S)
    record_change(f"rebuilt {image}")
    listing = run(["lsinitrd", str(image)])
    for module in requested["without"]:
        if re.search(rf"/{module}\.ko", listing):
            fail(f"{image}: expected no {module}, which takes the GPU before the driver does")


def units(requested: Iterable[str]) -> None:
    """Enable units for the next boot."""
    for unit in requested:
        if run(["systemctl", "is-enabled", unit], ok=(0, 1, 3, 4)).strip() != "enabled":
            run(["systemctl", "enable", unit])
            record_change(f"enabled {unit}")


def create_users(file: str) -> None:
    """Create the users and memberships of a sysusers.d file."""
    if not file:
        return
    entries = (line.split() for line in Path(file).read_text().splitlines())
    for user, group in (line[1:] for line in entries if line[:1] == ["m"]):
        if group not in run(["id", "-Gn", user], ok=(0, 1)).split():
            run(["systemd-sysusers", file])
            record_change(f"created the users of {file}")
            return


def booleans(requested: Mapping[str, Any]) -> None:
    """Set SELinux booleans if SELinux is installed."""
    if not Path("/sys/fs/selinux/enforce").exists():
        return
    for name, value in requested.items():
        if run(["getsebool", name]).split()[-1] != value:
            run(["setsebool", "-P", name, value], TRANSACTION_TIMEOUT_S)
            record_change(f"set {name} {value}")


def main() -> None:
    """Apply the request."""
    request = json.load(sys.stdin)
    forbidden(request["forbidden"])
    kernel = Kernel(installed()) if request["single_kernel"] else None
    requested = [
        (*(kernel.resolve(p) if kernel else name_and_version(p)), p["lock"])
        for p in request["packages"]
    ]
    use_proxy(request["proxy"])
    with build_repositories(request["repositories"]):
        streams(request["streams"])
        installed_versions = packages(
            [(name, version) for name, version, _ in requested], request["same_version"]
        )
    if kernel:
        Kernel(installed_versions)
    for path, text in request["files"].items():
        write(path, text)
    create_users(request["sysusers"])
    dkms(request["dkms"], kernel)
    module(request["module"], kernel)
    initramfs(request["initramfs"], kernel)
    units(request["units"])
    booleans(request["booleans"])
    names = [name for name, _, is_locked in requested if is_locked and name in installed_versions]
    names += matching(installed_versions, request["same_version"])
    if request["lock_kernel"]:
        names += sorted(n for n in installed_versions if n == "kernel" or n.startswith("kernel-"))
    lock(dict.fromkeys(names), installed_versions)
    sys.stdout.write("changed\n" if changes else "unchanged\n")


if __name__ == "__main__":
    main()
