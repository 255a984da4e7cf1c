"""What a profile puts into the placeholders of the package list."""

import re

from hardpan.profiles.hardware import Hardware
from hardpan.profiles.versions import numbers, series

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SHAPES = {
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


def values(hardware: Hardware) -> dict[str, str]:
    """Placeholder -> text; those of a vendor that the profile does not use are left out."""
    found: dict[str, str] = {}
    if hardware.nvidia:
        nvidia = hardware.nvidia
        found |= {
            "branch": nvidia.branch,
            "driver": nvidia.driver,
            "cuda_dash": "-".join(nvidia.cuda.split(".")),
            "cuda_major": str(numbers(nvidia.cuda)[0]),
            "flavour": "open" if nvidia.kernel_module == "open" else "dkms",
        }
    if hardware.amd:
        amd = hardware.amd
        found |= {
            "amdgpu": amd.driver,
            "gfx": amd.gfx_target,
            "rocm": amd.rocm,
            "rocm_series": "{}.{}".format(*series(amd.rocm)),
        }
    return found


def fill(text: str, found: dict[str, str]) -> str:
    """``text`` with every placeholder replaced.

    Raises:
        KeyError: a placeholder of the other vendor.
    """
    return _PLACEHOLDER.sub(lambda m: found[m[1]], text)


def matcher(text: str) -> re.Pattern[str]:
    """What ``text`` can become: placeholders match any value, a ``*`` at the end anything."""
    made = ""
    at = 0
    for m in _PLACEHOLDER.finditer(text):
        made += f"{re.escape(text[at : m.start()])}(?:{_SHAPES[m[1]]})"
        at = m.end()
    rest = text[at:]
    tail = f"{re.escape(rest[:-1])}.*" if rest.endswith("*") else re.escape(rest)
    return re.compile(made + tail, re.ASCII)
