"""Layer ``tuning``: a tuned profile, or the same values without a daemon."""

from collections.abc import Mapping

from hardpan.builder.layers.base import Layer, LayerPreparation, PreparedLayer
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.tuning import GpuPolicy, Tuning

_THP = "/sys/kernel/mm/transparent_hugepage"
_CPU_GOVERNOR = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Return the plan."""
    return PreparedLayer(variables=role_variables(preparation.profile))


def role_variables(profile: Profile) -> Mapping[str, object]:
    """Return the role's variables."""
    return {"tuning_plan": make_plan(profile)}


def make_plan(profile: Profile) -> Mapping[str, object]:
    """Return the plan that the role carries out."""
    section = profile.tuning or Tuning()
    gpu = section.gpu
    return {
        "manager": section.manager,
        "name": section.name,
        "profile": render_tuned_profile(section),
        "sysctl": _format_settings("{} = {}", {**section.sysctls, "vm.swappiness": "10"}),
        "tmpfiles": (
            f"w {_THP}/enabled - - - - {section.hugepages}\n"
            f"w {_THP}/defrag - - - - madvise\n"
            f"w {_CPU_GOVERNOR} - - - - performance\n"
        ),
        "memlock_units": [u if "." in u else f"{u}.service" for u in section.memlock_units],
        "gpu_unit": render_gpu_unit(gpu, profile.hardware.accelerator) if gpu else "",
    }


def render_tuned_profile(section: Tuning) -> str:
    """The profile as tuned reads it."""
    return (
        "[main]\n"
        f"summary=AI {section.purpose}, by hardpan: nothing that weakens the host\n"
        "include=accelerator-performance\n"
        "\n[sysctl]\n"
        f"{_format_settings('{}={}', section.sysctls)}"
        "\n[vm]\n"
        f"transparent_hugepages={section.hugepages}\n"
    )


def render_gpu_unit(gpu: GpuPolicy, accelerator: str) -> str:
    """The unit that sets the accelerators' power limit and clocks at every start."""
    if accelerator == "nvidia":
        tool, device, after = "/usr/bin/nvidia-smi", "/dev/nvidiactl", "nvidia-persistenced.service"
        limit = f"{tool} --power-limit={gpu.power_limit_w}"
        clock = f"{tool} --lock-gpu-clocks={gpu.clock_mhz},{gpu.clock_mhz}"
    else:
        tool, device, after = "/opt/rocm/bin/amd-smi", "/dev/kfd", "systemd-udev-settle.service"
        limit = f"{tool} set --gpu all --power-cap {gpu.power_limit_w}"
        clock = ""
    lines = [limit] * (gpu.power_limit_w is not None) + [clock] * (gpu.clock_mhz is not None)
    commands = "".join(f"ExecStart={line}\n" for line in lines)
    return (
        "[Unit]\n"
        "Description=Power and clocks of the accelerators, as the profile says\n"
        f"ConditionPathExists={device}\n"
        f"After={after}\n"
        "\n[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        f"{commands}"
        "NoNewPrivileges=yes\n"
        "ProtectSystem=strict\n"
        "ProtectHome=yes\n"
        "PrivateNetwork=yes\n"
        "\n[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def _format_settings(template: str, settings: Mapping[str, str]) -> str:
    return "".join(template.format(name, value) + "\n" for name, value in settings.items())


def describe_tuning(profile: Profile) -> str:
    """Return the name of the tuned profile and its manager."""
    section = profile.tuning or Tuning()
    return f"{section.name}, {section.manager}"


TUNING = Layer(
    name="tuning",
    section="tuning",
    summary="sets memory, processor and accelerators for AI work",
    details=describe_tuning,
    prepare=prepare,
    planned_variables=role_variables,
)
