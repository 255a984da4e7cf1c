"""What a build starts from, as plain data for people and programs to read."""

import kickstart
from hardpan.files import sha256_bytes
from profiles.load import digest
from profiles.model import Profile

_DOES = {
    "amd_driver": "installs AMD's kernel driver",
    "cuda": "installs the CUDA toolkit",
    "ml_cpu": "puts PyTorch's CPU build and the smoke test's model under /opt/ai, digests checked",
    "ml_frameworks": "puts the ML frameworks for the accelerator under /opt/ai",
    "nvidia_driver": "installs NVIDIA's driver at the one locked version",
    "rocm": "installs ROCm for the one chip the profile names",
    "stig": "mends the rules that fail, exceptions aside, from the data stream that is scanned",
}


def layers(profile: Profile) -> list[dict[str, str]]:
    """The layers in order, each with what it will do."""
    return [{"layer": name, "does": _does(profile, name)} for name in profile.layers]


def exceptions(profile: Profile) -> list[dict[str, str]]:
    """The rules that the image does not meet, with reason, owner and last day."""
    return [
        {"rule": e.rule_id, "reason": e.reason, "owner": e.owner, "expires": e.expires.isoformat()}
        for e in profile.stig.exceptions
    ]


def build(profile: Profile, text: str) -> dict[str, object]:
    """The inputs of a build: profile, media, boot arguments, machine, accelerator."""
    label = kickstart.volume_label(profile)
    return {
        "profile": profile.name,
        "profile_sha256": digest(profile),
        "release": profile.release,
        "kickstart_sha256": sha256_bytes(text.encode("utf-8")),
        "kickstart_is_secret": kickstart.holds_secret(text),
        "media": profile.media.catalog,
        "volume_label": label,
        "boot_arguments": list(kickstart.boot_arguments(profile, label)),
        "disk_size_mib": profile.disk_size_mib,
        "machine": profile.machine.model_dump(mode="json"),
        "hardware": profile.hardware.model_dump(mode="json", exclude_none=True),
        "build_user": profile.build_user,
        "stig": {"profile_id": profile.stig.profile_id, "content": profile.stig.content},
        "open_questions": _open_questions(profile),
    }


def _does(profile: Profile, layer: str) -> str:
    nvidia, amd = profile.hardware.nvidia, profile.hardware.amd
    if layer == "nvidia_driver" and nvidia:
        return f"{_DOES[layer]}: {nvidia.driver}, {nvidia.kernel_module} kernel module"
    if layer == "cuda" and nvidia:
        return f"{_DOES[layer]}: {nvidia.cuda}"
    if layer == "amd_driver" and amd:
        return f"{_DOES[layer]}: {amd.driver}"
    if layer == "rocm" and amd:
        return f"{_DOES[layer]}: ROCm {amd.rocm}, {amd.gfx_target}"
    return _DOES[layer]


def _open_questions(profile: Profile) -> list[str]:
    """What a person has to say before this can be built."""
    nvidia = profile.hardware.nvidia
    if nvidia and not nvidia.accept_eula:
        return ["hardware.nvidia.accept_eula is false: read NVIDIA's licence and set it to true"]
    return []
