"""A guest of the lab media's kernel and this machine's programs, which starts in seconds.

Its root is an initramfs of the named programs with their libraries, so it needs no installation.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.builder.vm.devices import start_tpm
from hardpan.builder.vm.network import network_option
from hardpan.builder.vm.probe import detect_acceleration, find_qemu
from hardpan.core.process import run

_TIMEOUT_S = 1200
_MEMORY_MIB = 1024
_LIBRARY = re.compile(r"^\s+(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_FACT = re.compile(r"^FACT (\S+) ?(.*?)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class SmallGuest:
    """The files that it starts from."""

    kernel: Path
    initramfs: Path

    def start(
        self,
        disk: Path,
        arguments: str,
        *,
        log: Path,
        tpm_state: Path | None = None,
        web_service: Sequence[str] = (),
    ) -> dict[str, str]:
        """Run it to its end; return the facts that its console has as ``FACT NAME VALUE``."""
        network = network_option(ssh_port=0, endpoints_file=None, web_service=web_service)
        argv = [str(find_qemu()), "-machine", "q35", *detect_acceleration().arguments]
        argv += ["-m", str(_MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot"]
        argv += ["-serial", f"file:{log}", "-device", "virtio-rng-pci"]
        argv += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        argv += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="]
        argv += ["-kernel", str(self.kernel), "-initrd", str(self.initramfs)]
        argv += ["-append", f"console=ttyS0 panic=-1 quiet {arguments}"]
        workdir = log.with_suffix(".d")
        workdir.mkdir()
        with start_tpm(tpm_state, workdir) as tpm_options:
            run([*argv, *tpm_options], timeout_s=_TIMEOUT_S)
        return dict(_FACT.findall(log.read_text("utf-8", "replace")))


def build_root(
    root: Path,
    *,
    programs: Sequence[str],
    libraries: Sequence[str],
    folders: Sequence[str],
    modules: Path,
) -> None:
    """Copy programs with the libraries that they load, more libraries, folders, and modules."""
    files = {Path(shutil.which(name) or name) for name in programs}
    files |= {path for name in libraries for path in Path("/usr/lib/x86_64-linux-gnu").glob(name)}
    listing = run(["ldd", *sorted(files)], timeout_s=60, ok=(0, 1)).stdout
    files |= {Path(name) for name in _LIBRARY.findall(listing)}
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name.removeprefix("usr/")).symlink_to(name)
    for path in files:
        folder = Path(os.path.realpath(path.parent))
        target = root / folder.relative_to("/") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path.resolve(), target)
    for name in folders:
        shutil.copytree(name, root / name.lstrip("/"))
    shutil.copytree(modules, root / "usr/lib/modules" / modules.name, symlinks=True)


def pack_initramfs(root: Path, initramfs: Path) -> None:
    """Pack a folder as an initramfs."""
    script = 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > "$2"'
    run(["sh", "-c", script, "sh", root, initramfs], timeout_s=300)
