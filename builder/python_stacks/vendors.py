"""What a lock brings of a GPU's vendor, and whether the profile allows for it."""

import re

from hardpan.builder.wheel_audit.lock import LockFile
from hardpan.core.errors import InputError
from hardpan.profiles.schema.frameworks import Stack, cuda_version
from hardpan.profiles.schema.hardware import min_driver_version
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.versions import parse_version

_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d\d)?")
_LABEL = re.compile(r"\+(cpu|cu\d{3}|rocm\d{1,2}\.\d)")
_NVIDIA_PREFIXES = ("nvidia-", "cuda-")
_FREELY_LICENSED = (
    "cuda-core",
    "cuda-pathfinder",
    "cuda-tile",
    "nvidia-cudnn-frontend",
    "nvidia-ml-py",
    "nvidia-nvtx",
)
"""NVIDIA's packages under free licences, by their own metadata, read 2026-11-21."""

_MAX_LISTED = 3


def check_vendor(profile: Profile, stack: Stack, lock: LockFile) -> None:
    """Pass if the lock's PyTorch is the one asked for, runs on the driver and is allowed.

    Raises:
        InputError: it is not; says what is there.
    """
    torch_backend = detect_torch_backend(lock)
    if stack.torch_backend and torch_backend != stack.torch_backend:
        raise InputError(
            f"{stack.name}: lock: expected PyTorch built for {stack.torch_backend}, as"
            f" torch_backend says, found {f'one for {torch_backend}' if torch_backend else 'none'}"
        )
    _check_licences(profile, stack, lock)
    nvidia = profile.hardware.nvidia
    required_driver = min_driver_version(cuda_version(torch_backend)) if nvidia else None
    if nvidia and required_driver and parse_version(nvidia.driver) < parse_version(required_driver):
        raise InputError(
            f"{stack.name}: lock: PyTorch for {torch_backend} needs driver {required_driver}"
            f" or later, found {nvidia.driver}"
        )


def detect_torch_backend(lock: LockFile) -> str:
    """What the lock's PyTorch is built for, as PyTorch calls it; nothing where that is not told.

    Without a label in its version it is told by the CUDA runtime that it pins.
    """
    label = _LABEL.search(next((e.version for e in lock.entries if e.name == "torch"), ""))
    if label:
        return label[1]
    runtime = next((e.version for e in lock.entries if _RUNTIME.fullmatch(e.name)), "")
    return f"cu{''.join(runtime.split('.')[:2])}" if runtime else ""


def _check_licences(profile: Profile, stack: Stack, lock: LockFile) -> None:
    names = [
        e.name
        for e in lock.entries
        if e.name.startswith(_NVIDIA_PREFIXES) and e.name not in _FREELY_LICENSED
    ]
    nvidia = profile.hardware.nvidia
    if not names or (nvidia and nvidia.accept_eula):
        return
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    raise InputError(
        f"{profile.name}: hardware.nvidia.accept_eula: expected true, since the stack {stack.name}"
        f" holds {', '.join(names[:_MAX_LISTED])}{more} under NVIDIA's licences;"
        f" found {'false' if nvidia else 'no section nvidia'}",
        hint="read the licences and set it in your own profile"
        if nvidia
        else "take a lock for the CPU or for ROCm; on other hosts these files are of no use",
    )
