"""What stacks, layers and release demand of each other."""

from collections.abc import Iterator

from hardpan.profiles.frameworks import GLIBC, PYTHONS, Frameworks, Stack, cuda_of
from hardpan.profiles.hardware import Hardware, least_driver
from hardpan.profiles.rule import Broken, Path, Rules
from hardpan.profiles.versions import numbers

RULES = Rules()
_LAYER = "ml_frameworks"
_VENDORS = {"cu": "nvidia", "rocm": "amd"}
"""What a build of PyTorch begins with -> the accelerator it is for."""


@RULES.reads("layers", "frameworks")
def _listed(layers: tuple[str, ...], frameworks: Frameworks | None) -> Iterator[Broken]:
    if _LAYER in layers and frameworks is None:
        yield Broken(
            ("layers", layers.index(_LAYER)),
            f"{_LAYER} needs a section 'frameworks:' with its stacks, found none",
        )
    if _LAYER not in layers and frameworks is not None:
        yield Broken(("frameworks",), f"expected {_LAYER} among the layers, which installs it")
    if _LAYER in layers and "ml_cpu" in layers:
        yield Broken(
            ("layers", layers.index("ml_cpu")),
            f"expected one of ml_cpu and {_LAYER}: both install the embedding model",
        )


@RULES.reads("frameworks", "release")
def _stacks(frameworks: Frameworks | None, release: str) -> Iterator[Broken]:
    names: set[str] = set()
    for i, stack in enumerate(frameworks.stacks if frameworks else ()):
        here: Path = ("frameworks", "stacks", i)
        if stack.name in names:
            yield Broken((*here, "name"), f"{stack.name} is there twice")
        names.add(stack.name)
        yield from _stack(here, stack, release)


@RULES.reads("frameworks", "hardware")
def _backends(frameworks: Frameworks | None, hardware: Hardware) -> Iterator[Broken]:
    for i, stack in enumerate(frameworks.stacks if frameworks else ()):
        here: Path = ("frameworks", "stacks", i, "torch_backend")
        asked = stack.torch_backend
        vendor = next((v for word, v in _VENDORS.items() if asked and asked.startswith(word)), None)
        if vendor and vendor != hardware.accelerator:
            yield Broken(
                here,
                f"{asked} needs 'accelerator: {vendor}', found {hardware.accelerator!a}",
            )
        least = least_driver(cuda_of(asked))
        if least and hardware.nvidia and numbers(hardware.nvidia.driver) < numbers(least):
            yield Broken(
                here,
                f"{asked} is CUDA {cuda_of(asked)}, which needs driver {least} or later,"
                f" found {hardware.nvidia.driver!a}",
            )


def _stack(here: Path, stack: Stack, release: str) -> Iterator[Broken]:
    pythons = PYTHONS[release]
    if stack.python not in pythons:
        yield Broken(
            (*here, "python"),
            f"expected {' or '.join(pythons)}, which {release} packages, found {stack.python!a}",
        )
    if stack.glibc and len(numbers(stack.glibc)) != 2:
        yield Broken((*here, "glibc"), f"expected e.g. '2.34', found {stack.glibc!a}")
    elif stack.glibc and numbers(stack.glibc) > numbers(GLIBC[release]):
        yield Broken(
            (*here, "glibc"),
            f"expected {GLIBC[release]} or less, which {release} has, found {stack.glibc!a}",
        )
    if stack.system_site_packages and stack.system_site_reason is None:
        yield Broken(
            here,
            "expected system_site_reason with 'system_site_packages: true':"
            " a stack that is not closed needs a word",
        )
    built = [source.name for source in stack.sources]
    for j, name in enumerate(built):
        if name in built[:j]:
            yield Broken((*here, "sources", j, "name"), f"{name} is there twice")
