"""What ``kernel_hardening``, ``tuning`` and ``audit`` demand of the rest of a profile."""

from collections.abc import Iterator

from hardpan.profiles.audit import Audit
from hardpan.profiles.hardware import Hardware
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.machine import Boot, Machine
from hardpan.profiles.model import Stig
from hardpan.profiles.rule import Broken, Rules
from hardpan.profiles.sysctls import SYSCTLS
from hardpan.profiles.tuning import Tuning

RULES = Rules()

_MIB_PER_HUGEPAGE = 2
_SETS = {
    "kernel_hardening": ("lockdown", "module.sig_enforce"),
    "tuning": ("iommu", "mitigations"),
}
"""Layer -> kernel arguments that its section decides about."""

Layers = tuple[str, ...]
Hardening = KernelHardening | None


@RULES.reads("layers", "kernel_hardening", "tuning", "audit")
def _section_without_layer(
    layers: Layers, kernel_hardening: Hardening, tuning: Tuning | None, audit: Audit | None
) -> Iterator[Broken]:
    sections = {"kernel_hardening": kernel_hardening, "tuning": tuning, "audit": audit}
    for name, section in sections.items():
        if section is not None and name not in layers:
            yield Broken((name,), f"expected {name} among layers, without it this does nothing")


@RULES.reads("kernel_hardening")
def _weaker(kernel_hardening: Hardening) -> Iterator[Broken]:
    k = kernel_hardening
    if k is None:
        return
    if k.lockdown != "none" and k.module_signatures == "not_enforced":
        yield Broken(
            ("kernel_hardening", "module_signatures"),
            f"expected enforced with 'lockdown: {k.lockdown}', which loads no unsigned module",
        )
    weak = k.lockdown == "none" or k.module_signatures == "not_enforced"
    if weak and k.weaker_reason is None:
        yield Broken(
            ("kernel_hardening",),
            "expected weaker_reason with 'lockdown: none' or 'module_signatures: not_enforced'",
        )
    if k.compiler == "needed" and k.compiler_reason is None:
        yield Broken(("kernel_hardening",), "expected compiler_reason with 'compiler: needed'")
    if 22 not in k.ports:
        yield Broken(
            ("kernel_hardening", "ports"),
            "expected 22 among them: build, scan and people come in through it",
        )


@RULES.reads("layers", "kernel_hardening")
def _proxy(layers: Layers, kernel_hardening: Hardening) -> Iterator[Broken]:
    both = {"kernel_hardening", "sovereign_stack"} <= set(layers)
    if both and 443 not in (kernel_hardening or KernelHardening()).ports:
        yield Broken(
            ("kernel_hardening", "ports"),
            "expected 443 among them: the proxy of sovereign_stack listens there",
        )


@RULES.reads("kernel_hardening")
def _left(kernel_hardening: Hardening) -> Iterator[Broken]:
    known = {s.name for s in SYSCTLS}
    seen: set[str] = set()
    for i, left in enumerate(kernel_hardening.sysctls_left if kernel_hardening else ()):
        here = ("kernel_hardening", "sysctls_left", i, "name")
        if left.name not in known:
            yield Broken(
                here,
                f"expected a setting listed in docs/host-hardening.md, found {left.name!a}",
            )
        if left.name in seen:
            yield Broken(here, f"{left.name} is there twice")
        seen.add(left.name)


@RULES.reads("layers", "kernel_hardening", "hardware")
def _unsigned_drivers(
    layers: Layers, kernel_hardening: Hardening, hardware: Hardware
) -> Iterator[Broken]:
    if "kernel_hardening" not in layers:
        return
    k = kernel_hardening or KernelHardening()
    enforced = k.lockdown != "none" or k.module_signatures == "enforced"
    off = "'lockdown: none' and 'module_signatures: not_enforced'"
    unsigned = hardware.nvidia and hardware.nvidia.module_signing == "secure_boot_off"
    if enforced and unsigned:
        yield Broken(
            ("hardware", "nvidia", "module_signing"),
            f"expected site_key, or {off} in kernel_hardening: the kernel would refuse NVIDIA's"
            " unsigned module",
        )
    if "amd_driver" not in layers:
        return
    if enforced:
        yield Broken(
            ("layers", layers.index("amd_driver")),
            f"expected {off} in kernel_hardening with amd_driver: DKMS signs with a key that it"
            " makes on the machine and that no kernel trusts before a person enrolls it",
        )
    if k.compiler == "removed":
        yield Broken(
            ("layers", layers.index("amd_driver")),
            "expected 'compiler: needed' in kernel_hardening with amd_driver: DKMS compiles the"
            " module anew for each kernel",
        )


@RULES.reads("layers", "boot", "hardware")
def _set_twice(layers: Layers, boot: Boot, hardware: Hardware) -> Iterator[Broken]:
    for section, arguments in (
        ("boot", boot.kernel_arguments),
        ("hardware", hardware.kernel_arguments),
    ):
        for i, argument in enumerate(arguments):
            name = argument.partition("=")[0]
            for layer, names in _SETS.items():
                if layer in layers and name in names:
                    yield Broken(
                        (section, "kernel_arguments", i),
                        f"{name}= is the section {layer}'s to set, found {argument!a} here",
                    )


@RULES.reads("layers", "tuning", "stig")
def _daemon(layers: Layers, tuning: Tuning | None, stig: Stig) -> Iterator[Broken]:
    if not {"tuning", "stig"} <= set(layers) or (tuning or Tuning()).manager != "tuned":
        return
    if not any(w.covers("package_tuned_removed") for w in stig.waivers):
        yield Broken(
            ("stig", "waivers"),
            "expected a waiver for package_tuned_removed with the layer tuning, as the STIG"
            " wants tuned removed; 'tuning: {manager: static}' does without tuned",
        )


@RULES.reads("tuning", "hardware")
def _accelerator(tuning: Tuning | None, hardware: Hardware) -> Iterator[Broken]:
    gpu = tuning.gpu if tuning else None
    if gpu is None:
        return
    if hardware.accelerator not in ("nvidia", "amd"):
        yield Broken(
            ("tuning", "gpu"),
            f"expected 'accelerator: nvidia or amd' with it, found {hardware.accelerator!a}",
        )
    if gpu.power_limit_w is None and gpu.clock_mhz is None:
        yield Broken(("tuning", "gpu"), "expected power_limit_w or clock_mhz, found neither")
    if gpu.clock_mhz is not None and hardware.accelerator == "amd":
        yield Broken(
            ("tuning", "gpu", "clock_mhz"), "expected none with 'accelerator: amd': NVIDIA only"
        )


@RULES.reads("tuning", "machine")
def _fits(tuning: Tuning | None, machine: Machine) -> Iterator[Broken]:
    asked_mib = (tuning.hugepages_2m if tuning else 0) * _MIB_PER_HUGEPAGE
    if asked_mib * 2 > machine.memory_mib:
        yield Broken(
            ("tuning", "hugepages_2m"),
            f"expected at most half of machine.memory ({machine.memory_mib} MiB), in which the"
            f" image is started for its scan, found {asked_mib} MiB",
        )


@RULES.reads("audit", "stig", "layers")
def _driver(audit: Audit | None, stig: Stig, layers: Layers) -> Iterator[Broken]:
    host = audit.log_host if audit else None
    if host and host.driver == "ossl" and stig.content == "rhel9" and "stig" in layers:
        yield Broken(
            ("audit", "log_host", "driver"),
            "expected gtls: the RHEL 9 STIG takes no other, and its fix would undo the whole block",
        )
