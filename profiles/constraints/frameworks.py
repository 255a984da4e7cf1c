"""Constraints on the Python stacks."""

from collections.abc import Iterator

from hardpan.profiles.constraint_set import ConstraintSet, ProfilePath, Violation
from hardpan.profiles.schema.frameworks import GLIBC, PYTHONS, Frameworks, Stack, cuda_version
from hardpan.profiles.schema.hardware import Hardware, min_driver_version
from hardpan.profiles.schema.versions import parse_version

CONSTRAINTS = ConstraintSet()
_LAYER = "ml_frameworks"
_ACCELERATORS_BY_BACKEND = {"cu": "nvidia", "rocm": "amd"}
"""Prefix of a PyTorch build -> its accelerator."""


@CONSTRAINTS.depends_on("layers", "frameworks")
def _check_section(layers: tuple[str, ...], frameworks: Frameworks | None) -> Iterator[Violation]:
    if _LAYER in layers and frameworks is None:
        yield Violation(
            ("layers", layers.index(_LAYER)),
            f"{_LAYER} needs a section 'frameworks:' with its stacks, got none",
        )
    if _LAYER not in layers and frameworks is not None:
        yield Violation(("frameworks",), f"expected {_LAYER} among the layers, which installs it")
    if _LAYER in layers and "ml_cpu" in layers:
        yield Violation(
            ("layers", layers.index("ml_cpu")),
            f"expected one of ml_cpu and {_LAYER}: both install the embedding model",
        )


@CONSTRAINTS.depends_on("frameworks", "release")
def _check_stacks(frameworks: Frameworks | None, release: str) -> Iterator[Violation]:
    names: set[str] = set()
    for i, stack in enumerate(frameworks.stacks if frameworks else ()):
        path: ProfilePath = ("frameworks", "stacks", i)
        if stack.name in names:
            yield Violation((*path, "name"), f"{stack.name} is listed twice")
        names.add(stack.name)
        yield from _check_stack(path, stack, release)


@CONSTRAINTS.depends_on("frameworks", "hardware")
def _check_backends(frameworks: Frameworks | None, hardware: Hardware) -> Iterator[Violation]:
    for i, stack in enumerate(frameworks.stacks if frameworks else ()):
        path: ProfilePath = ("frameworks", "stacks", i, "torch_backend")
        backend = stack.torch_backend
        vendor = next(
            (
                v
                for prefix, v in _ACCELERATORS_BY_BACKEND.items()
                if backend and backend.startswith(prefix)
            ),
            None,
        )
        if vendor and vendor != hardware.accelerator:
            yield Violation(
                path,
                f"{backend} needs 'accelerator: {vendor}', got {hardware.accelerator!a}",
            )
        min_driver = min_driver_version(cuda_version(backend))
        if (
            min_driver
            and hardware.nvidia
            and parse_version(hardware.nvidia.driver) < parse_version(min_driver)
        ):
            yield Violation(
                path,
                f"{backend} is CUDA {cuda_version(backend)}, which needs driver"
                f" {min_driver} or later,"
                f" got {hardware.nvidia.driver!a}",
            )


def _check_stack(path: ProfilePath, stack: Stack, release: str) -> Iterator[Violation]:
    pythons = PYTHONS[release]
    if stack.python not in pythons:
        yield Violation(
            (*path, "python"),
            f"expected {' or '.join(pythons)}, which {release} packages, got {stack.python!a}",
        )
    if stack.glibc and len(parse_version(stack.glibc)) != 2:
        yield Violation((*path, "glibc"), f"expected e.g. '2.34', got {stack.glibc!a}")
    elif stack.glibc and parse_version(stack.glibc) > parse_version(GLIBC[release]):
        yield Violation(
            (*path, "glibc"),
            f"expected {GLIBC[release]} or less, which {release} has, got {stack.glibc!a}",
        )
    if stack.system_site_packages and stack.system_site_reason is None:
        yield Violation(
            path,
            "expected system_site_reason with 'system_site_packages: true':"
            " a stack that is not isolated requires a reason",
        )
    source_names = [source.name for source in stack.sources]
    for j, name in enumerate(source_names):
        if name in source_names[:j]:
            yield Violation((*path, "sources", j, "name"), f"{name} is listed twice")
