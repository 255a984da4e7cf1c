#!/usr/bin/python3 -I
"""Build a vendor's kernel modules by DKMS, export them unsigned, and remove everything again.

    build_modules.py < REQUEST.json

Runs as root on Python 3.9 or later with the standard library only. The compiler, the kernel's
headers, DKMS and the modules' source are installed for the build only; afterwards the host has
the packages that it had before. Nothing is built if the signed package is already installed, or
if the vendor's repository has precompiled modules for the kernel. The archive has the modules
and ``outcome.json``; it is in memory.
"""

import gzip
import io
import json
import lzma
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vendor_host import (
    DNF,
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
)

MODULE_FOLDERS = Path("/lib/modules")
SOURCES = Path("/usr/src")
DKMS_STATE = Path("/var/lib/dkms")
DKMS_SETTINGS = Path("/etc/dkms/framework.conf.d/hardpan.conf")
NO_SIGNING = (
    "# hardpan signs the modules on the build machine; DKMS would create a key here.\n"
    "sign_file=/nonexistent\n"
)
KEY_PACKAGE = "gpg-pubkey"
SIGNED_RELEASE = ".hardpan"
"""End of the release of the package that the build machine makes."""


def resolve(packages: Sequence[Mapping[str, str]], kernel: Kernel) -> list[str]:
    """Return what dnf installs: names, with the version where one is required."""
    resolved = (kernel.resolve(package) for package in packages)
    return [f"{name}-{version}" if version else name for name, version in resolved]


def has_precompiled(packages: Sequence[Mapping[str, str]], kernel: Kernel) -> bool:
    """Return whether the repositories have the precompiled modules for the kernel.

    They may be in a module stream that is not enabled.
    """
    if not packages:
        return False
    query = [*DNF, "--setopt=hardpan-*.module_hotfixes=1", "repoquery", "--available"]
    names = resolve(packages, kernel)
    output = run([*query, "--qf", "%{name}-%{version}\n", *names], TRANSACTION_TIMEOUT_S)
    return set(names) <= set(output.split())


def build(request: Mapping[str, Any], kernel: Kernel) -> dict[str, bytes]:
    """Return file name -> unsigned kernel module; the host's packages are as before."""
    old_packages, old_modules = installed(), set(module_files(kernel))
    old_sources = set(SOURCES.iterdir())
    DKMS_SETTINGS.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    DKMS_SETTINGS.write_text(NO_SIGNING)
    try:
        run([*DNF, "install", *resolve(request["packages"], kernel)], TRANSACTION_TIMEOUT_S)
        Kernel(installed())
        build_for(request["name"], kernel)
        files = sorted(set(module_files(kernel)) - old_modules)
        return {module_name(path): read_module(path) for path in files}
    finally:
        remove_new(old_packages)
        for path in set(module_files(kernel)) - old_modules:
            path.unlink()
        for folder in (
            DKMS_STATE,
            DKMS_SETTINGS.parent.parent,
            *set(SOURCES.iterdir()) - old_sources,
        ):
            shutil.rmtree(folder, ignore_errors=True)
        run(["depmod", kernel.release])


def build_for(name: str, kernel: Kernel) -> None:
    """Build DKMS' module for the installed kernel, regardless of the running one."""
    run(["dkms", "autoinstall", "-k", kernel.release], TRANSACTION_TIMEOUT_S)
    status = run(["dkms", "status", "-k", kernel.release])
    if not any(x.startswith(name) and "installed" in x for x in status.splitlines()):
        fail(f"dkms built no {name} for {kernel.release}: {status.strip() or 'no module'}")


def remove_new(old_packages: Installed) -> None:
    """Remove all packages that were not installed before, in one transaction."""
    new = {name: v for name, v in installed().items() if name not in (*old_packages, KEY_PACKAGE)}
    names = [f"{n}-{evr.partition(':')[2]}" for n, v in sorted(new.items()) for _, evr in v]
    if names:
        run(["rpm", "-e", *names], TRANSACTION_TIMEOUT_S)


def module_files(kernel: Kernel) -> Iterator[Path]:
    """Return the files of the kernel's modules."""
    return (path for path in (MODULE_FOLDERS / kernel.release).rglob("*.ko*") if path.is_file())


def module_name(path: Path) -> str:
    """Return the name of a module's file without its compression."""
    return path.name.partition(".ko")[0] + ".ko"


def read_module(path: Path) -> bytes:
    """Return an uncompressed module."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix != ".ko":
        fail(f"{path}: expected a module that is not compressed, or by xz or gzip")
    return data


def write_archive(archive: Path, outcome: Mapping[str, str], modules: Mapping[str, bytes]) -> None:
    """Write the outcome and the modules for the build machine."""
    members = {"outcome.json": json.dumps(outcome).encode(), **modules}
    with tarfile.open(archive, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    archive.chmod(0o600)


def find_or_build(request: Mapping[str, Any], kernel: Kernel) -> tuple[str, dict[str, bytes]]:
    """Return what the host needs: the state, and the modules if they were built."""
    versions = installed()
    name, _ = kernel.resolve(request["result"])
    precompiled = {kernel.resolve(package)[0] for package in request["precompiled"]}
    # A vendor's package may have the same name, and comes from another module stream.
    if any(evr.endswith(SIGNED_RELEASE) for _, evr in versions.get(name, [])):
        return "installed", {}
    if precompiled and precompiled <= set(versions):
        return "precompiled", {}
    use_proxy(request["proxy"])
    with build_repositories(request["repositories"]):
        if has_precompiled(request["precompiled"], kernel):
            return "precompiled", {}
        streams(request["streams"])
        modules = build(request, kernel)
    record_change(f"built {', '.join(sorted(modules))} for {kernel.release}")
    return "built", modules


def main() -> None:
    """Apply the request."""
    request = json.load(sys.stdin)
    kernel = Kernel(installed())
    state, modules = find_or_build(request, kernel)
    outcome = {
        "state": state,
        "name": kernel.resolve(request["result"])[0],
        "kernel_package": kernel.package,
        "kernel_release": kernel.release,
    }
    write_archive(Path(request["archive"]), outcome, modules)
    sys.stdout.write("changed\n" if changes else "unchanged\n")


if __name__ == "__main__":
    main()
