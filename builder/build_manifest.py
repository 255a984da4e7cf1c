"""What a build starts from, as plain data for people and programs to read."""

from collections.abc import Mapping

from hardpan import kickstart
from hardpan.core.files import sha256_bytes
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.ai_service import ModelServer
from hardpan.profiles.schema.frameworks import GLIBC, Stack, cuda_version
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.tuning import Tuning
from hardpan.profiles.software_catalog import eula
from hardpan.profiles.software_catalog.package_plan import (
    LayerPlan,
    PackageSpec,
    RepositorySource,
    plan_packages,
)
from hardpan.profiles.software_catalog.schema import FactSource

_LAYER_DESCRIPTIONS: Mapping[str, str] = {
    "amd_driver": "installs AMD's kernel driver",
    "audit": "watches model files and accelerators, checks models against their locks",
    "containers": "installs podman and, for NVIDIA, what describes the GPUs to it",
    "cuda": "installs the CUDA toolkit",
    "kernel_hardening": "sets what the STIG does not, holds ports, units and SUID files to lists",
    "ml_cpu": "puts PyTorch's CPU build and the smoke test's model under /opt/ai, digests checked",
    "ml_frameworks": "installs each stack as one RPM under /opt/ai/stacks, and the embedding model",
    "nvidia_driver": "installs NVIDIA's driver at the one locked version",
    "rocm": "installs ROCm for the one chip the profile names",
    "ai_service": "sets up model server, knowledge base and chat page behind a TLS proxy",
    "stig": "mends the rules that fail, waivers aside, from the data stream that is scanned",
    "tuning": "sets memory, processor and accelerators for AI work",
}


def describe_layers(profile: Profile) -> list[dict[str, object]]:
    """The layers in order, each with what it will do, install, from where and how big."""
    is_accepted = not eula.unaccepted_packages(profile)
    return [
        {"layer": layer_plan.layer, "does": _describe_layer(profile, layer_plan.layer)}
        | (
            _describe_stacks(profile)
            if layer_plan.layer == "ml_frameworks"
            else _describe_packages(layer_plan, is_accepted)
        )
        for layer_plan in plan_packages(profile)
    ]


def describe_waivers(profile: Profile) -> list[dict[str, str]]:
    """The rules that the image does not meet, with reason, owner and last day."""
    return [
        {"rule": w.rule, "reason": w.reason, "owner": w.owner, "expires": w.expires.isoformat()}
        for w in profile.stig.waivers
    ]


def describe_build(profile: Profile, kickstart_text: str) -> dict[str, object]:
    """The inputs of a build: profile, media, boot arguments, machine, accelerator."""
    label = kickstart.make_volume_label(profile)
    return {
        "profile": profile.name,
        "profile_sha256": profile_digest(profile),
        "release": profile.release,
        "kickstart_sha256": sha256_bytes(kickstart_text.encode("utf-8")),
        "kickstart_is_secret": kickstart.contains_secret(kickstart_text),
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


def _describe_packages(layer_plan: LayerPlan, is_accepted: bool) -> dict[str, object]:
    if layer_plan.packages is None:
        return {"packages": "not listed: the layer's own role knows them"}
    unknown_count = sum(package.size_mib is None for package in layer_plan.packages)
    total_mib = sum(package.size_mib or 0 for package in layer_plan.packages)
    size = f"{total_mib} MiB" if total_mib or not unknown_count else ""
    if unknown_count:
        size += f"{' and ' if size else ''}unknown for {unknown_count} of {len(layer_plan.packages)} packages"
    origins = {package.repository.id: package.repository for package in layer_plan.packages}
    return {
        "from": [_describe_repository(origin) for origin in origins.values()],
        "packages": [_describe_package(package, is_accepted) for package in layer_plan.packages],
        "size": size,
    }


def _describe_stacks(profile: Profile) -> dict[str, object]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return {"stacks": [_describe_stack(stack, profile) for stack in stacks]}


def _describe_stack(stack: Stack, profile: Profile) -> dict[str, object]:
    fields: dict[str, object] = {
        "stack": stack.name,
        "rpm": f"hardpan-ai-{stack.name}",
        "packages": list(stack.packages),
        "lock": stack.lock or "none yet: nothing is built",
        "from": stack.wheelhouse or "where this machine's pip looks, each file by its digest",
        "python": f"/usr/bin/python{stack.python}",
        "glibc": stack.glibc or GLIBC[profile.release],
        "size": "unknown before the files are there",
    }
    if stack.torch_backend:
        fields["torch_backend"] = stack.torch_backend
    if cuda_version(stack.torch_backend):
        nvidia = profile.hardware.nvidia
        fields["eula"] = (
            f"NVIDIA's, of its wheels: {_describe_acceptance(bool(nvidia and nvidia.accept_eula))}"
        )
    if stack.sources:
        fields["built_from_source"] = {s.name: list(s.cmake) for s in stack.sources}
    if stack.requires:
        fields["requires"] = list(stack.requires)
    if stack.system_site_packages:
        fields["sees_system_packages"] = stack.system_site_reason or ""
    return fields


def _describe_repository(origin: RepositorySource) -> dict[str, object]:
    fields: dict[str, object] = {
        "repository": origin.id,
        "url": origin.url or "to be named in the profile's repositories",
    }
    if origin.more_urls:
        fields["more_urls"] = list(origin.more_urls)
    if origin.site:
        fields["address_of"] = "the site"
    fields["key"] = origin.key_url or (
        "in the profile" if origin.key else "to be given in the profile's repositories"
    )
    fields["key_sha256"] = origin.key_sha256 or "unknown: to be pinned before anything installs"
    if origin.key_sha256 and origin.digest_of == "file_without_version_lines":
        fields["key_sha256_of"] = "the key file without the lines that begin with Version"
    fields["gpgcheck"] = origin.gpgcheck
    return fields | _describe_source(origin.source, origin.note)


def _describe_package(package: PackageSpec, is_accepted: bool) -> dict[str, object]:
    fields: dict[str, object] = {"package": package.package, "repository": package.repository.id}
    if package.version:
        fields["version"] = package.version
    if package.stream:
        fields["module_stream"] = package.stream
    if package.lock:
        fields["held_by"] = package.lock
    fields["size"] = f"{package.size_mib} MiB" if package.size_mib is not None else "unknown"
    fields["licence"] = package.licence
    if package.eula:
        fields["eula"] = _describe_acceptance(is_accepted)
    return fields | _describe_source(package.source, package.note)


def _describe_acceptance(is_accepted: bool) -> str:
    return "accepted in the profile" if is_accepted else "not accepted: nothing is built"


def _describe_source(source: FactSource, note: str | None) -> dict[str, object]:
    fields: dict[str, object] = {"as_of": source.as_of.isoformat(), "verified": source.verified}
    fields["source"] = source.title
    return fields | ({"note": note} if note else {})


def _describe_layer(profile: Profile, layer: str) -> str:
    nvidia, amd = profile.hardware.nvidia, profile.hardware.amd
    if layer == "nvidia_driver" and nvidia:
        return (
            f"{_LAYER_DESCRIPTIONS[layer]}: {nvidia.driver}, {nvidia.kernel_module} kernel module"
        )
    if layer == "cuda" and nvidia:
        return f"{_LAYER_DESCRIPTIONS[layer]}: {nvidia.cuda}"
    if layer == "amd_driver" and amd:
        return f"{_LAYER_DESCRIPTIONS[layer]}: {amd.driver}"
    if layer == "rocm" and amd:
        return f"{_LAYER_DESCRIPTIONS[layer]}: ROCm {amd.rocm}, {amd.gfx_target}"
    return _LAYER_DESCRIPTIONS[layer] + _describe_section(profile, layer)


def _describe_section(profile: Profile, layer: str) -> str:
    """What the sections of the host's own layers say, behind what the layer does."""
    if layer == "kernel_hardening":
        kernel_arguments = (profile.kernel_hardening or KernelHardening()).kernel_arguments
        return f": {', '.join(kernel_arguments) or 'no lock-down, unsigned modules'}"
    if layer == "tuning":
        tuning = profile.tuning or Tuning()
        return f": {tuning.name}, {tuning.manager}"
    if layer == "audit":
        log_host = profile.audit.log_host if profile.audit else None
        return (
            f": logs go to {log_host.host} over TLS" if log_host else ": logs stay on the machine"
        )
    if layer == "ai_service" and profile.ai_service:
        return _describe_server(profile.ai_service.server)
    return ""


def _describe_server(server: ModelServer) -> str:
    served = f"of stack {server.stack} with the model {server.model}"
    if server.engine == "vllm":
        gpus = f"{server.gpus} GPU{'s' if server.gpus > 1 else ''}"
        return f": vLLM {served} on {gpus}, never tried by hardpan's makers"
    return f": llama.cpp {served} on the processor"


def _open_questions(profile: Profile) -> list[str]:
    """What a person has to say before this can be built."""
    nvidia = profile.hardware.nvidia
    if nvidia and not nvidia.accept_eula:
        return ["hardware.nvidia.accept_eula is false: read NVIDIA's licence and set it to true"]
    return []
