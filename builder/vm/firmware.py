"""Find UEFI firmware for guests by the QEMU firmware descriptors of the distribution."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.profiles.schema.machine import FirmwareKind

DESCRIPTOR_FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
"""Folders of the descriptors (QEMU's docs/interop/firmware.json), in order of precedence."""

_COMMON_PATHS = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
)
"""Common paths of code and variables, for systems without descriptors."""

_COMMON_SECURE_BOOT_PATHS = (
    ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"),
)
"""The same with Secure Boot on and enrolled keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """UEFI firmware in two flash images."""

    code: Path
    variables: Path
    """Template; each guest uses a copy."""

    requires_smm: bool
    """Whether it requires system management mode, as builds with Secure Boot do."""

    enforces_secure_boot: bool
    """Whether its variables contain enrolled keys, so that Secure Boot is on."""


def find_firmware(
    kind: FirmwareKind = "uefi", folders: tuple[Path, ...] = DESCRIPTOR_FOLDERS
) -> Firmware | None:
    """Return raw flash firmware for x86_64 of a UEFI kind, or None.

    For ``uefi``, Secure Boot is off: enrolled keys would reject an unsigned boot loader.
    """
    is_secure_boot = kind == "uefi-secure-boot"
    candidates = [*_read_descriptors(folders), *_common_firmware()]
    installed = (f for f in candidates if f.code.is_file() and f.variables.is_file())
    suitable = (f for f in installed if f.enforces_secure_boot == is_secure_boot)
    return min(suitable, key=lambda f: f.requires_smm, default=None)


def require_firmware(kind: FirmwareKind) -> Firmware:
    """Return UEFI firmware of ``kind``.

    Raises:
        ToolError: none is installed.
    """
    firmware = find_firmware(kind)
    if firmware is None:
        problem = "is not installed"
        if kind == "uefi-secure-boot":
            problem += " with Secure Boot on and enrolled keys"
        raise ToolError(["ovmf"], problem, hint="hardpan doctor shows how to install it")
    return firmware


def firmware_arguments(firmware: Firmware, variables: Path) -> list[str]:
    """Return QEMU's arguments; ``variables`` is the guest's copy."""
    drive = "if=pflash,format=raw"
    argv = ["-drive", f"{drive},unit=0,readonly=on,file={escape_option(firmware.code)}"]
    argv += ["-drive", f"{drive},unit=1,file={escape_option(variables)}"]
    if firmware.requires_smm:
        argv += ["-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
    return argv


def escape_option(path: Path) -> str:
    """Return an absolute path, escaped for QEMU's comma-separated options."""
    return str(path.absolute()).replace(",", ",,")


def _read_descriptors(folders: tuple[Path, ...]) -> Iterator[Firmware]:
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            try:
                descriptor = json.loads(file.read_text("utf-8"))
                firmware = _from_descriptor(descriptor)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # ignore invalid descriptors
            if firmware is not None:
                yield firmware


def _from_descriptor(descriptor: Mapping[str, object]) -> Firmware | None:
    mapping, targets, features = (
        descriptor["mapping"],
        descriptor["targets"],
        descriptor["features"],
    )
    if not isinstance(mapping, dict) or not isinstance(targets, list):
        return None
    if not isinstance(features, list) or mapping["device"] != "flash":
        return None
    is_supported = any(t["architecture"] == "x86_64" and _is_q35(t["machines"]) for t in targets)
    parts = [mapping["executable"], mapping["nvram-template"]]
    is_raw = all(part["format"] == "raw" for part in parts)
    if not is_supported or not is_raw:
        return None
    code, variables = (Path(part["filename"]) for part in parts)
    return Firmware(
        code=code,
        variables=variables,
        requires_smm="requires-smm" in features,
        enforces_secure_boot="enrolled-keys" in features,
    )


def _is_q35(machines: list[str]) -> bool:
    return any("q35" in name for name in machines)


def _common_firmware() -> Iterator[Firmware]:
    yield from _list_common(_COMMON_PATHS, is_secure_boot=False)
    yield from _list_common(_COMMON_SECURE_BOOT_PATHS, is_secure_boot=True)


def _list_common(paths: Iterable[tuple[str, str]], *, is_secure_boot: bool) -> Iterator[Firmware]:
    for code, variables in paths:
        yield Firmware(
            code=Path(code),
            variables=Path(variables),
            requires_smm=is_secure_boot,
            enforces_secure_boot=is_secure_boot,
        )
