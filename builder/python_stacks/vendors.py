"""Check a lock's GPU vendor packages: PyTorch build, driver version, licences."""

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
    """Check that the lock's PyTorch matches the profile's backend, driver and licences.

    Raises:
        InputError: it does not match.
    """
    torch_backend = detect_torch_backend(lock)
    if stack.torch_backend and torch_backend != stack.torch_backend:
        raise InputError(
            f"{stack.name}: lock: expected PyTorch built for {stack.torch_backend}, as"
            f" torch_backend says, got {f'one for {torch_backend}' if torch_backend else 'none'}"
        )
    _check_licences(profile, stack, lock)
    nvidia = profile.hardware.nvidia
    required_driver = min_driver_version(cuda_version(torch_backend)) if nvidia else None
    if nvidia and required_driver and parse_version(nvidia.driver) < parse_version(required_driver):
        raise InputError(
            f"{stack.name}: lock: PyTorch for {torch_backend} needs driver {required_driver}"
            f" or later, got {nvidia.driver}"
        )


def detect_torch_backend(lock: LockFile) -> str:
    """Return the PyTorch backend of a lock (``cu130``, ``rocm7.1``, ``cpu``), or "" if unknown.

    A version without a label is identified by the pinned CUDA runtime.
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
        f" contains {', '.join(names[:_MAX_LISTED])}{more} under NVIDIA's licences;"
        f" got {'false' if nvidia else 'no section nvidia'}",
        hint="read the licences and set it in your own profile"
        if nvidia
        else "use a lock for the CPU or for ROCm",
    )
