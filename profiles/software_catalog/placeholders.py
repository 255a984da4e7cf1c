"""Placeholders in the software catalog, and their values for a profile."""

import re

from hardpan.profiles.schema.hardware import Hardware
from hardpan.profiles.schema.versions import major_minor, parse_version

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_VALUE_PATTERNS = {
    "amdgpu": r"[0-9]+(?:\.[0-9]+)+",
    "branch": r"[0-9]+",
    "cuda_dash": r"[0-9]+-[0-9]+",
    "cuda_major": r"[0-9]+",
    "driver": r"[0-9]+(?:\.[0-9]+)+",
    "flavour": r"open|dkms",
    "gfx": r"gfx[0-9a-f]+",
    "rocm": r"[0-9]+(?:\.[0-9]+)+",
    "rocm_series": r"[0-9]+\.[0-9]+",
}


def placeholder_values(hardware: Hardware) -> dict[str, str]:
    """Return placeholder -> value; placeholders of unused vendors are omitted."""
    values: dict[str, str] = {}
    if hardware.nvidia:
        nvidia = hardware.nvidia
        values |= {
            "branch": nvidia.branch,
            "driver": nvidia.driver,
            "cuda_dash": "-".join(nvidia.cuda.split(".")),
            "cuda_major": str(parse_version(nvidia.cuda)[0]),
            "flavour": "open" if nvidia.kernel_module == "open" else "dkms",
        }
    if hardware.amd:
        amd = hardware.amd
        values |= {
            "amdgpu": amd.driver,
            "gfx": amd.gfx_target,
            "rocm": amd.rocm,
            "rocm_series": "{}.{}".format(*major_minor(amd.rocm)),
        }
    return values


def fill_placeholders(text: str, values: dict[str, str]) -> str:
    """Return ``text`` with all placeholders replaced.

    Raises:
        KeyError: a placeholder belongs to another vendor.
    """
    return _PLACEHOLDER.sub(lambda m: values[m[1]], text)


def to_pattern(text: str) -> re.Pattern[str]:
    """Return a pattern of ``text``: placeholders match any value, a final ``*`` any text."""
    expression = ""
    offset = 0
    for m in _PLACEHOLDER.finditer(text):
        expression += f"{re.escape(text[offset : m.start()])}(?:{_VALUE_PATTERNS[m[1]]})"
        offset = m.end()
    remainder = text[offset:]
    tail = f"{re.escape(remainder[:-1])}.*" if remainder.endswith("*") else re.escape(remainder)
    return re.compile(expression + tail, re.ASCII)
