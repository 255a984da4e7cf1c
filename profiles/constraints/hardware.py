"""Constraints on accelerator, driver, release and layers."""

from collections.abc import Iterator

from hardpan.profiles.constraint_set import ConstraintSet, ProfilePath, Violation
from hardpan.profiles.schema.hardware import Hardware, min_driver_version
from hardpan.profiles.schema.profile import LAB_RELEASES
from hardpan.profiles.schema.versions import parse_version
from hardpan.profiles.software_catalog.catalog_file import package_catalog

CONSTRAINTS = ConstraintSet()

_SUPPORTED_ACCELERATORS = {
    "nvidia_driver": ("nvidia",),
    "cuda": ("nvidia",),
    "amd_driver": ("amd",),
    "rocm": ("amd",),
    "ml_frameworks": ("cpu", "nvidia", "amd"),
    "ml_cpu": ("cpu",),
}
_VENDOR_LAYERS = ("nvidia_driver", "cuda", "amd_driver", "rocm", "containers")
_PREREQUISITE_LAYERS = {"cuda": "nvidia_driver", "rocm": "amd_driver"}


@CONSTRAINTS.depends_on("hardware", "release")
def _check_accelerator(hardware: Hardware, release: str) -> Iterator[Violation]:
    for vendor in ("nvidia", "amd", "cpu"):
        has_section = getattr(hardware, vendor) is not None
        if has_section and hardware.accelerator != vendor:
            yield Violation(
                ("hardware", vendor),
                f"expected no {vendor} section with 'accelerator: {hardware.accelerator}'",
            )
    if hardware.accelerator in ("nvidia", "amd"):
        if getattr(hardware, hardware.accelerator) is None:
            yield Violation(
                ("hardware",), f"expected a section '{hardware.accelerator}:', got none"
            )
        if release in LAB_RELEASES:
            yield Violation(
                ("hardware", "accelerator"),
                "expected none or cpu: the lab has no GPU drivers",
            )
    cpu = hardware.cpu
    if cpu and release == "rocky10" and cpu.baseline == "x86-64-v2":
        yield Violation(
            ("hardware", "cpu", "baseline"),
            "expected x86-64-v3 or later, which Rocky 10 is built for, got 'x86-64-v2'",
        )


@CONSTRAINTS.depends_on("hardware", "release")
def _check_nvidia_branch(hardware: Hardware, release: str) -> Iterator[Violation]:
    nvidia = hardware.nvidia
    if nvidia is None:
        return
    branches = [b.branch for b in package_catalog().nvidia_branches if release in b.releases]
    if branches and nvidia.branch not in branches:
        kind = "module stream" if release == "rocky9" else "flat package"
        yield Violation(
            ("hardware", "nvidia", "branch"),
            f"expected one of {', '.join(branches)}, got {nvidia.branch!a}: no {kind} of it"
            f" is listed for {release}",
        )


@CONSTRAINTS.depends_on("hardware")
def _check_nvidia(hardware: Hardware) -> Iterator[Violation]:
    nvidia = hardware.nvidia
    if nvidia is None:
        return
    if nvidia.driver.partition(".")[0] != nvidia.branch:
        yield Violation(
            ("hardware", "nvidia", "driver"),
            f"expected a version of branch {nvidia.branch}, got {nvidia.driver!a}",
        )
    if nvidia.kernel_module == "proprietary" and parse_version(nvidia.branch) >= (620,):
        yield Violation(
            ("hardware", "nvidia", "kernel_module"),
            "expected open: branch 620 and later have no proprietary kernel module",
        )
    min_driver = min_driver_version(nvidia.cuda)
    if min_driver is None or len(parse_version(nvidia.cuda)) != 2:
        yield Violation(
            ("hardware", "nvidia", "cuda"), f"expected 12.x or 13.x, got {nvidia.cuda!a}"
        )
    elif parse_version(nvidia.driver) < parse_version(min_driver):
        yield Violation(
            ("hardware", "nvidia", "driver"),
            f"CUDA {nvidia.cuda} needs {min_driver} or later, got {nvidia.driver!a}",
        )
    if nvidia.module_signing == "secure_boot_off" and nvidia.secure_boot_off_reason is None:
        yield Violation(
            ("hardware", "nvidia"),
            "expected secure_boot_off_reason with 'module_signing: secure_boot_off'",
        )


@CONSTRAINTS.depends_on("hardware", "release")
def _check_amd(hardware: Hardware, release: str) -> Iterator[Violation]:
    amd = hardware.amd
    if amd is None:
        return
    if amd.vendor_support == "unlisted" and amd.unlisted_reason is None:
        yield Violation(
            ("hardware", "amd"), "expected unlisted_reason with 'vendor_support: unlisted'"
        )
    if amd.vendor_support == "listed" and release == "rocky10":
        yield Violation(
            ("hardware", "amd", "vendor_support"),
            "expected unlisted: AMD lists Rocky for EL9 only",
        )


@CONSTRAINTS.depends_on("hardware", "release")
def _check_rocm(hardware: Hardware, release: str) -> Iterator[Violation]:
    amd = hardware.amd
    if amd is None or release in LAB_RELEASES:
        return
    catalog = package_catalog()
    series = catalog.series_of(amd.rocm)
    path: ProfilePath = ("hardware", "amd", "rocm")
    if series is None:
        supported = ", ".join(f"{s.first} to {s.last}" for s in catalog.rocm_series)
        yield Violation(path, f"expected a listed release ({supported}), got {amd.rocm!a}")
        return
    if release not in series.releases:
        yield Violation(
            path,
            f"expected a release with packages for {release}, got {amd.rocm!a}:"
            f" ROCm {series.first} to {series.last} is listed for {', '.join(series.releases)}",
        )
    if amd.gfx_target not in series.gfx_targets:
        yield Violation(
            ("hardware", "amd", "gfx_target"),
            f"expected one of {', '.join(series.gfx_targets)}, which ROCm {amd.rocm} has packages"
            f" for, got {amd.gfx_target!a}",
        )


@CONSTRAINTS.depends_on("layers", "hardware", "release")
def _check_layers(layers: tuple[str, ...], hardware: Hardware, release: str) -> Iterator[Violation]:
    for i, layer in enumerate(layers):
        path: ProfilePath = ("layers", i)
        if layer in layers[:i]:
            yield Violation(path, f"{layer} is listed twice")
        supported = _SUPPORTED_ACCELERATORS.get(layer, (hardware.accelerator,))
        if hardware.accelerator not in supported:
            yield Violation(
                path,
                f"{layer} needs 'accelerator: {' or '.join(supported)}',"
                f" got {hardware.accelerator!a}",
            )
        if release in LAB_RELEASES and layer in _VENDOR_LAYERS:
            yield Violation(
                path, f"{layer} is not for {release}: the lab's repositories have no GPU packages"
            )
        if layer in _PREREQUISITE_LAYERS and _PREREQUISITE_LAYERS[layer] not in layers[:i]:
            yield Violation(path, f"expected {_PREREQUISITE_LAYERS[layer]} before {layer}")
        if layer == "stig" and i != len(layers) - 1:
            yield Violation(
                path, "expected stig as the last layer: fapolicyd and noexec block later layers"
            )
