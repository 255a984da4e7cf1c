"""Constraints on the layers ``kernel_hardening``, ``tuning`` and ``audit``."""

from collections.abc import Iterator

from hardpan.profiles.constraint_set import ConstraintSet, Violation
from hardpan.profiles.constraints.stig_requirements import TUNED_REMOVAL
from hardpan.profiles.schema.audit import Audit
from hardpan.profiles.schema.hardware import Hardware
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.machine import Boot, Machine
from hardpan.profiles.schema.profile import StigSettings
from hardpan.profiles.schema.sysctls import SYSCTLS
from hardpan.profiles.schema.tuning import Tuning

CONSTRAINTS = ConstraintSet()

_MIB_PER_HUGEPAGE = 2
_LAYER_ARGUMENTS = {
    "kernel_hardening": ("lockdown", "module.sig_enforce"),
    "tuning": ("iommu", "mitigations"),
}
"""Layer -> kernel arguments that its section sets."""

LayerNames = tuple[str, ...]
HardeningSection = KernelHardening | None


@CONSTRAINTS.depends_on("layers", "kernel_hardening", "tuning", "audit")
def _check_section_has_layer(
    layers: LayerNames,
    kernel_hardening: HardeningSection,
    tuning: Tuning | None,
    audit: Audit | None,
) -> Iterator[Violation]:
    sections = {"kernel_hardening": kernel_hardening, "tuning": tuning, "audit": audit}
    for name, section in sections.items():
        if section is not None and name not in layers:
            yield Violation((name,), f"expected {name} among layers, without it this has no effect")


@CONSTRAINTS.depends_on("kernel_hardening")
def _check_weakening_reasons(kernel_hardening: HardeningSection) -> Iterator[Violation]:
    hardening = kernel_hardening
    if hardening is None:
        return
    if hardening.lockdown != "none" and hardening.module_signatures == "not_enforced":
        yield Violation(
            ("kernel_hardening", "module_signatures"),
            f"expected enforced with 'lockdown: {hardening.lockdown}', which loads no unsigned"
            " module",
        )
    is_weakened = hardening.lockdown == "none" or hardening.module_signatures == "not_enforced"
    if is_weakened and hardening.weakening_reason is None:
        yield Violation(
            ("kernel_hardening",),
            "expected weakening_reason with 'lockdown: none' or 'module_signatures: not_enforced'",
        )
    if hardening.compiler == "required" and hardening.compiler_reason is None:
        yield Violation(("kernel_hardening",), "expected compiler_reason with 'compiler: required'")
    if 22 not in hardening.ports:
        yield Violation(
            ("kernel_hardening", "ports"),
            "expected 22 among them: builds, scans and users connect to it",
        )


@CONSTRAINTS.depends_on("layers", "kernel_hardening")
def _check_proxy_port(
    layers: LayerNames, kernel_hardening: HardeningSection
) -> Iterator[Violation]:
    has_proxy = {"kernel_hardening", "ai_service"} <= set(layers)
    if has_proxy and 443 not in (kernel_hardening or KernelHardening()).ports:
        yield Violation(
            ("kernel_hardening", "ports"),
            "expected 443 among them: the proxy of ai_service listens there",
        )


@CONSTRAINTS.depends_on("kernel_hardening")
def _check_sysctl_exceptions(kernel_hardening: HardeningSection) -> Iterator[Violation]:
    sysctl_names = {s.name for s in SYSCTLS}
    exempted_names: set[str] = set()
    for i, exception in enumerate(kernel_hardening.sysctl_exceptions if kernel_hardening else ()):
        path = ("kernel_hardening", "sysctl_exceptions", i, "name")
        if exception.name not in sysctl_names:
            yield Violation(
                path,
                f"expected a setting listed in docs/host-hardening.md, got {exception.name!a}",
            )
        if exception.name in exempted_names:
            yield Violation(path, f"{exception.name} is listed twice")
        exempted_names.add(exception.name)


@CONSTRAINTS.depends_on("layers", "kernel_hardening", "hardware")
def _check_unsigned_drivers(
    layers: LayerNames, kernel_hardening: HardeningSection, hardware: Hardware
) -> Iterator[Violation]:
    if "kernel_hardening" not in layers:
        return
    hardening = kernel_hardening or KernelHardening()
    is_enforced = hardening.lockdown != "none" or hardening.module_signatures == "enforced"
    required_settings = "'lockdown: none' and 'module_signatures: not_enforced'"
    is_unsigned = hardware.nvidia and hardware.nvidia.module_signing == "secure_boot_off"
    if is_enforced and is_unsigned:
        yield Violation(
            ("hardware", "nvidia", "module_signing"),
            f"expected automatic or site_key, or {required_settings} in kernel_hardening:"
            " the kernel would refuse modules whose certificate is not enrolled",
        )


@CONSTRAINTS.depends_on("layers", "boot", "hardware")
def _check_layer_arguments(
    layers: LayerNames, boot: Boot, hardware: Hardware
) -> Iterator[Violation]:
    for section, arguments in (
        ("boot", boot.kernel_arguments),
        ("hardware", hardware.kernel_arguments),
    ):
        for i, argument in enumerate(arguments):
            name = argument.partition("=")[0]
            for layer, names in _LAYER_ARGUMENTS.items():
                if layer in layers and name in names:
                    yield Violation(
                        (section, "kernel_arguments", i),
                        f"{name}= is set by the section {layer}, got {argument!a} here",
                    )


@CONSTRAINTS.depends_on("layers", "tuning", "stig")
def _check_tuned_waiver(
    layers: LayerNames, tuning: Tuning | None, stig: StigSettings
) -> Iterator[Violation]:
    if not {"tuning", "stig"} <= set(layers) or (tuning or Tuning()).manager != "tuned":
        return
    if not any(w.matches(TUNED_REMOVAL) for w in stig.waivers):
        yield Violation(
            ("stig", "waivers"),
            "expected a waiver for package_tuned_removed with the layer tuning, as the STIG"
            " requires its removal; 'tuning: {manager: static}' needs no tuned",
        )


@CONSTRAINTS.depends_on("tuning", "hardware")
def _check_gpu_policy(tuning: Tuning | None, hardware: Hardware) -> Iterator[Violation]:
    gpu = tuning.gpu if tuning else None
    if gpu is None:
        return
    if hardware.accelerator not in ("nvidia", "amd"):
        yield Violation(
            ("tuning", "gpu"),
            f"expected 'accelerator: nvidia or amd' with it, got {hardware.accelerator!a}",
        )
    if gpu.power_limit_w is None and gpu.clock_mhz is None:
        yield Violation(("tuning", "gpu"), "expected power_limit_w or clock_mhz, got neither")
    if gpu.clock_mhz is not None and hardware.accelerator == "amd":
        yield Violation(
            ("tuning", "gpu", "clock_mhz"), "expected none with 'accelerator: amd': NVIDIA only"
        )


@CONSTRAINTS.depends_on("tuning", "machine")
def _check_hugepages(tuning: Tuning | None, machine: Machine) -> Iterator[Violation]:
    hugepages_mib = (tuning.hugepages_2m if tuning else 0) * _MIB_PER_HUGEPAGE
    if hugepages_mib * 2 > machine.memory_mib:
        yield Violation(
            ("tuning", "hugepages_2m"),
            f"expected at most half of machine.memory ({machine.memory_mib} MiB), with which the"
            f" image is booted for its scan, got {hugepages_mib} MiB",
        )


@CONSTRAINTS.depends_on("audit", "stig", "layers")
def _check_log_driver(
    audit: Audit | None, stig: StigSettings, layers: LayerNames
) -> Iterator[Violation]:
    host = audit.log_host if audit else None
    if host and host.driver == "ossl" and stig.content == "rhel9" and "stig" in layers:
        yield Violation(
            ("audit", "log_host", "driver"),
            "expected gtls: the RHEL 9 STIG accepts no other, its fix would revert the block",
        )
