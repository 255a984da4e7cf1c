"""UEFI firmware for guests, found by the descriptors that distributions ship for QEMU."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import ToolError

FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
"""Where the descriptors lie (QEMU's docs/interop/firmware.json); the first one wins."""

_KNOWN = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
)
"""Code and variables, for systems without descriptors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A UEFI firmware in two flash images."""

    code: Path
    variables: Path
    """Template; each guest writes to a copy of its own."""

    needs_smm: bool
    """True for builds with Secure Boot, which only run with system management mode."""


def find(folders: tuple[Path, ...] = FOLDERS) -> Firmware | None:
    """The UEFI firmware to use: raw flash for x86_64, without Secure Boot if there is one."""
    found = [*_described(folders), *_known()]
    there = [f for f in found if f.code.is_file() and f.variables.is_file()]
    return min(there, key=lambda f: f.needs_smm, default=None)


def need() -> Firmware:
    """The same, where a guest needs it.

    Raises:
        ToolError: there is none.
    """
    found = find()
    if found is None:
        raise ToolError(["ovmf"], "is not installed", hint="hardpan doctor tells how to get it")
    return found


def arguments(firmware: Firmware, variables: Path) -> list[str]:
    """QEMU's arguments for it; ``variables`` is the guest's own copy."""
    drive = "if=pflash,format=raw"
    argv = ["-drive", f"{drive},unit=0,readonly=on,file={escaped(firmware.code)}"]
    argv += ["-drive", f"{drive},unit=1,file={escaped(variables)}"]
    if firmware.needs_smm:
        argv += ["-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
    return argv


def escaped(path: Path) -> str:
    """An absolute path as it stands in QEMU's comma-separated options."""
    return str(path.absolute()).replace(",", ",,")


def _described(folders: tuple[Path, ...]) -> Iterator[Firmware]:
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            try:
                told = json.loads(file.read_text("utf-8"))
                made = _from_descriptor(told)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # a descriptor that cannot be read offers nothing
            if made is not None:
                yield made


def _from_descriptor(told: Mapping[str, object]) -> Firmware | None:
    mapping, targets, features = told["mapping"], told["targets"], told["features"]
    if not isinstance(mapping, dict) or not isinstance(targets, list):
        return None
    if not isinstance(features, list) or mapping["device"] != "flash":
        return None
    fits = any(t["architecture"] == "x86_64" and _is_q35(t["machines"]) for t in targets)
    parts = [mapping["executable"], mapping["nvram-template"]]
    raw = all(part["format"] == "raw" for part in parts)
    # Enrolled keys would refuse a boot loader that nobody signed, as the lab's is.
    if not fits or not raw or "enrolled-keys" in features:
        return None
    code, variables = (Path(part["filename"]) for part in parts)
    return Firmware(code=code, variables=variables, needs_smm="requires-smm" in features)


def _is_q35(machines: list[str]) -> bool:
    return any("q35" in name for name in machines)


def _known() -> Iterator[Firmware]:
    for code, variables in _KNOWN:
        yield Firmware(code=Path(code), variables=Path(variables), needs_smm=False)
