"""What a lock brings of a GPU's vendor, and whether the profile allows for it."""

import re

from hardpan.builder.wheels.lock import Lock
from hardpan.errors import InputError
from hardpan.profiles.frameworks import Stack, cuda_of
from hardpan.profiles.hardware import least_driver
from hardpan.profiles.model import Profile
from hardpan.profiles.versions import numbers

_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d\d)?")
_LABEL = re.compile(r"\+(cpu|cu\d{3}|rocm\d{1,2}\.\d)")
_OF_NVIDIA = ("nvidia-", "cuda-")
_FREE = (
    "cuda-core",
    "cuda-pathfinder",
    "cuda-tile",
    "nvidia-cudnn-frontend",
    "nvidia-ml-py",
    "nvidia-nvtx",
)
"""NVIDIA's packages under free licences, by their own metadata, read 2026-11-21."""

_TOLD = 3


def check(profile: Profile, stack: Stack, lock: Lock) -> None:
    """Pass if the lock's PyTorch is the one asked for, runs on the driver and is allowed.

    Raises:
        InputError: it is not; says what is there.
    """
    found = backend(lock)
    if stack.torch_backend and found != stack.torch_backend:
        raise InputError(
            f"{stack.name}: lock: expected PyTorch built for {stack.torch_backend}, as"
            f" torch_backend says, found {f'one for {found}' if found else 'none'}"
        )
    _licences(profile, stack, lock)
    nvidia = profile.hardware.nvidia
    least = least_driver(cuda_of(found)) if nvidia else None
    if nvidia and least and numbers(nvidia.driver) < numbers(least):
        raise InputError(
            f"{stack.name}: lock: PyTorch for {found} needs driver {least} or later,"
            f" found {nvidia.driver}"
        )


def backend(lock: Lock) -> str:
    """What the lock's PyTorch is built for, as PyTorch calls it; nothing where that is not told.

    Without a label in its version it is told by the CUDA runtime that it pins.
    """
    label = _LABEL.search(next((e.version for e in lock.entries if e.name == "torch"), ""))
    if label:
        return label[1]
    runtime = next((e.version for e in lock.entries if _RUNTIME.fullmatch(e.name)), "")
    return f"cu{''.join(runtime.split('.')[:2])}" if runtime else ""


def _licences(profile: Profile, stack: Stack, lock: Lock) -> None:
    names = [e.name for e in lock.entries if e.name.startswith(_OF_NVIDIA) and e.name not in _FREE]
    nvidia = profile.hardware.nvidia
    if not names or (nvidia and nvidia.accept_eula):
        return
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    raise InputError(
        f"{profile.name}: hardware.nvidia.accept_eula: expected true, since the stack {stack.name}"
        f" holds {', '.join(names[:_TOLD])}{more} under NVIDIA's licences;"
        f" found {'false' if nvidia else 'no section nvidia'}",
        hint="read the licences and set it in your own profile"
        if nvidia
        else "take a lock for the CPU or for ROCm; on other hosts these files are of no use",
    )
