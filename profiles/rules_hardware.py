"""What accelerator, driver, release and layers demand of each other."""

from collections.abc import Iterator

from hardpan.profiles.hardware import Hardware, least_driver
from hardpan.profiles.rule import Broken, Path, Rules
from hardpan.profiles.software.load import catalogue
from hardpan.profiles.versions import numbers

RULES = Rules()

_NEEDS_ACCELERATOR = {
    "nvidia_driver": ("nvidia",),
    "cuda": ("nvidia",),
    "amd_driver": ("amd",),
    "rocm": ("amd",),
    "ml_frameworks": ("cpu", "nvidia", "amd"),
    "ml_cpu": ("cpu",),
}
_OF_VENDORS = ("nvidia_driver", "cuda", "amd_driver", "rocm", "containers")
_AFTER = {"cuda": "nvidia_driver", "rocm": "amd_driver"}


@RULES.reads("hardware", "release")
def _accelerator(hardware: Hardware, release: str) -> Iterator[Broken]:
    for vendor in ("nvidia", "amd", "cpu"):
        there = getattr(hardware, vendor) is not None
        if there and hardware.accelerator != vendor:
            yield Broken(
                ("hardware", vendor),
                f"expected no {vendor} section with 'accelerator: {hardware.accelerator}'",
            )
    if hardware.accelerator in ("nvidia", "amd"):
        if getattr(hardware, hardware.accelerator) is None:
            yield Broken(("hardware",), f"expected a section '{hardware.accelerator}:', found none")
        if release == "lab9":
            yield Broken(
                ("hardware", "accelerator"),
                "expected none or cpu: the lab's kernel and repositories carry no GPU driver",
            )
    cpu = hardware.cpu
    if cpu and release == "rocky10" and cpu.baseline == "x86-64-v2":
        yield Broken(
            ("hardware", "cpu", "baseline"),
            "expected x86-64-v3 or later, which Rocky 10 is built for, found 'x86-64-v2'",
        )


@RULES.reads("hardware", "release")
def _nvidia_branch(hardware: Hardware, release: str) -> Iterator[Broken]:
    n = hardware.nvidia
    if n is None:
        return
    there = [b.branch for b in catalogue().nvidia_branches if release in b.releases]
    if there and n.branch not in there:
        kind = "module stream" if release == "rocky9" else "flat package"
        yield Broken(
            ("hardware", "nvidia", "branch"),
            f"expected one of {', '.join(there)}, found {n.branch!a}: no {kind} of it"
            f" is listed for {release}",
        )


@RULES.reads("hardware")
def _nvidia(hardware: Hardware) -> Iterator[Broken]:
    n = hardware.nvidia
    if n is None:
        return
    if n.driver.partition(".")[0] != n.branch:
        yield Broken(
            ("hardware", "nvidia", "driver"),
            f"expected a version of branch {n.branch}, found {n.driver!a}",
        )
    if n.kernel_module == "proprietary" and numbers(n.branch) >= (620,):
        yield Broken(
            ("hardware", "nvidia", "kernel_module"),
            "expected open: branch 620 and later have no proprietary kernel module",
        )
    least = least_driver(n.cuda)
    if least is None or len(numbers(n.cuda)) != 2:
        yield Broken(("hardware", "nvidia", "cuda"), f"expected 12.x or 13.x, found {n.cuda!a}")
    elif numbers(n.driver) < numbers(least):
        yield Broken(
            ("hardware", "nvidia", "driver"),
            f"CUDA {n.cuda} needs {least} or later, found {n.driver!a}",
        )
    if n.module_signing == "secure_boot_off" and n.secure_boot_off_reason is None:
        yield Broken(
            ("hardware", "nvidia"), "expected secure_boot_off_reason: never off without a word"
        )


@RULES.reads("hardware", "release")
def _amd(hardware: Hardware, release: str) -> Iterator[Broken]:
    a = hardware.amd
    if a is None:
        return
    if a.vendor_support == "unlisted" and a.unlisted_reason is None:
        yield Broken(
            ("hardware", "amd"), "expected unlisted_reason with 'vendor_support: unlisted'"
        )
    if a.vendor_support == "listed" and release == "rocky10":
        yield Broken(
            ("hardware", "amd", "vendor_support"),
            "expected unlisted: AMD lists Rocky for EL9 only",
        )


@RULES.reads("hardware", "release")
def _rocm(hardware: Hardware, release: str) -> Iterator[Broken]:
    a = hardware.amd
    if a is None or release == "lab9":
        return
    known = catalogue()
    found = known.series_of(a.rocm)
    here: Path = ("hardware", "amd", "rocm")
    if found is None:
        listed = ", ".join(f"{s.first} to {s.last}" for s in known.rocm_series)
        yield Broken(here, f"expected a listed release ({listed}), found {a.rocm!a}")
        return
    if release not in found.releases:
        yield Broken(
            here,
            f"expected a release with packages for {release}, found {a.rocm!a}:"
            f" ROCm {found.first} to {found.last} is listed for {', '.join(found.releases)}",
        )
    if a.gfx_target not in found.gfx_targets:
        yield Broken(
            ("hardware", "amd", "gfx_target"),
            f"expected one of {', '.join(found.gfx_targets)}, which ROCm {a.rocm} has packages"
            f" for, found {a.gfx_target!a}",
        )


@RULES.reads("layers", "hardware", "release")
def _layers(layers: tuple[str, ...], hardware: Hardware, release: str) -> Iterator[Broken]:
    for i, layer in enumerate(layers):
        here: Path = ("layers", i)
        if layer in layers[:i]:
            yield Broken(here, f"{layer} is there twice")
        needs = _NEEDS_ACCELERATOR.get(layer, (hardware.accelerator,))
        if hardware.accelerator not in needs:
            yield Broken(
                here,
                f"{layer} needs 'accelerator: {' or '.join(needs)}',"
                f" found {hardware.accelerator!a}",
            )
        if release == "lab9" and layer in _OF_VENDORS:
            yield Broken(
                here, f"{layer} is not for lab9: the lab's repositories carry no GPU packages"
            )
        if layer in _AFTER and _AFTER[layer] not in layers[:i]:
            yield Broken(here, f"expected {_AFTER[layer]} before {layer}")
        if layer == "stig" and i != len(layers) - 1:
            yield Broken(
                here, "expected stig as the last layer: fapolicyd and noexec stop what comes after"
            )
