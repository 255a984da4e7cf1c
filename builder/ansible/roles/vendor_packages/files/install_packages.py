#!/usr/bin/python3 -I
"""Install a vendor's packages on this host from named repositories, and verify them.

    install_packages.py < REQUEST.json

Runs as root on Python 3.9 or later with the standard library only. Prints one line per
change, and at the end ``changed`` or ``unchanged``; on an error prints it to stderr and exits
with 1. Idempotent: it can be run again after an interruption at any point.
"""

import base64
import fnmatch
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from vendor_host import (
    DNF,
    KEYS,
    TRANSACTION_TIMEOUT_S,
    Installed,
    Kernel,
    build_repositories,
    changes,
    fail,
    installed,
    record_change,
    run,
    streams,
    use_proxy,
    write,
)

LOCKS = Path("/etc/dnf/plugins/versionlock.list")
NO_KERNEL = "the request has a kernel module: expected single_kernel: true, got false"


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


def packages(
    requested: Sequence[tuple[str, str]],
    same_version: Mapping[str, Any],
    files: Mapping[str, str],
) -> Installed:
    """Install missing packages at their versions; exit if another version is installed.

    ``files`` are packages on this host: name -> file.
    """
    installed_versions = installed()
    check_same_version(installed_versions, same_version)
    missing = []
    for name, version in requested:
        versions = [v for v, _ in installed_versions.get(name, [])]
        releases = [evr.partition(":")[2] for _, evr in installed_versions.get(name, [])]
        if not versions and not provided(name, installed_versions):
            missing.append(files.get(name) or (f"{name}-{version}" if version else name))
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


def module(requested: Mapping[str, str], kernel: Optional[Kernel]) -> None:
    """Check that a precompiled, signed module of this version exists for the installed kernel."""
    if not requested["name"]:
        return
    if kernel is None:
        fail(NO_KERNEL)
    folder = Path("/lib/modules", kernel.release)
    candidates = sorted(folder.rglob(f"{requested['name']}.ko*"))
    # The kernel itself may have a module of this name; one outside of its folder takes precedence.
    files = [path for path in candidates if path.relative_to(folder).parts[0] != "kernel"]
    if len(files) != 1:
        fail(f"expected one {requested['name']}.ko for {kernel.release}, got {len(files)}")
    version, signer = (
        run(["modinfo", "-F", x, str(files[0])]).strip() for x in ("version", "signer")
    )
    if requested["version"] and version != requested["version"]:
        fail(f"{files[0]}: expected version {requested['version']}, got {version or 'none'}")
    if not signer:
        fail(f"{files[0]}: expected a signature, got none: Secure Boot would refuse it")


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


def local_packages(
    request: Mapping[str, Any], resolved: Iterable[tuple[str, str, Mapping[str, Any]]]
) -> dict[str, str]:
    """Return name -> file of the package that the build machine made; rpm trusts its key."""
    if not request["rpm"]:
        return {}
    key = KEYS / "RPM-GPG-KEY-hardpan-site"
    if write(key, base64.b64decode(request["rpm_key"])):
        run(["rpm", "--import", str(key)])
    return {name: request["rpm"] for name, _, package in resolved if package["local"]}


def main() -> None:
    """Apply the request."""
    request = json.load(sys.stdin)
    forbidden(request["forbidden"])
    kernel = Kernel(installed()) if request["single_kernel"] else None
    requested = [
        (*(kernel.resolve(p) if kernel else name_and_version(p)), p) for p in request["packages"]
    ]
    use_proxy(request["proxy"])
    with build_repositories(request["repositories"]):
        streams(request["streams"])
        installed_versions = packages(
            [(name, version) for name, version, _ in requested],
            request["same_version"],
            local_packages(request, requested),
        )
    if kernel:
        Kernel(installed_versions)
    for path, text in request["files"].items():
        write(path, text)
    create_users(request["sysusers"])
    module(request["module"], kernel)
    initramfs(request["initramfs"], kernel)
    units(request["units"])
    booleans(request["booleans"])
    names = [name for name, _, p in requested if p["lock"] and name in installed_versions]
    names += matching(installed_versions, request["same_version"])
    if request["lock_kernel"]:
        names += sorted(n for n in installed_versions if n == "kernel" or n.startswith("kernel-"))
    lock(dict.fromkeys(names), installed_versions)
    sys.stdout.write("changed\n" if changes else "unchanged\n")


if __name__ == "__main__":
    main()
