"""What a build starts from, as plain data for people and programs to read."""

from collections.abc import Mapping

from hardpan import kickstart
from hardpan.files import sha256_bytes
from hardpan.profiles.frameworks import GLIBC, Stack, cuda_of
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.load import digest
from hardpan.profiles.model import Profile
from hardpan.profiles.software import eula
from hardpan.profiles.software.model import Source
from hardpan.profiles.software.plan import LayerPlan, Origin, Wanted, plan
from hardpan.profiles.sovereign import Server
from hardpan.profiles.tuning import Tuning

_DOES: Mapping[str, str] = {
    "amd_driver": "installs AMD's kernel driver",
    "audit": "watches model files and accelerators, checks models against their locks",
    "containers": "installs podman and, for NVIDIA, what describes the GPUs to it",
    "cuda": "installs the CUDA toolkit",
    "kernel_hardening": "sets what the STIG does not, holds ports, units and SUID files to lists",
    "ml_cpu": "puts PyTorch's CPU build and the smoke test's model under /opt/ai, digests checked",
    "ml_frameworks": "installs each stack as one RPM under /opt/ai/stacks, and the embedding model",
    "nvidia_driver": "installs NVIDIA's driver at the one locked version",
    "rocm": "installs ROCm for the one chip the profile names",
    "sovereign_stack": "sets up model server, knowledge base and chat page behind a TLS proxy",
    "stig": "mends the rules that fail, waivers aside, from the data stream that is scanned",
    "tuning": "sets memory, processor and accelerators for AI work",
}


def layers(profile: Profile) -> list[dict[str, object]]:
    """The layers in order, each with what it will do, install, from where and how big."""
    accepted = not eula.unaccepted(profile)
    return [
        {"layer": made.layer, "does": _does(profile, made.layer)}
        | (_stacks(profile) if made.layer == "ml_frameworks" else _installs(made, accepted))
        for made in plan(profile)
    ]


def waivers(profile: Profile) -> list[dict[str, str]]:
    """The rules that the image does not meet, with reason, owner and last day."""
    return [
        {"rule": w.rule, "reason": w.reason, "owner": w.owner, "expires": w.expires.isoformat()}
        for w in profile.stig.waivers
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


def _installs(made: LayerPlan, accepted: bool) -> dict[str, object]:
    if made.packages is None:
        return {"packages": "not listed: the layer's own role knows them"}
    unknown = sum(w.size_mib is None for w in made.packages)
    known_mib = sum(w.size_mib or 0 for w in made.packages)
    size = f"{known_mib} MiB" if known_mib or not unknown else ""
    if unknown:
        size += f"{' and ' if size else ''}unknown for {unknown} of {len(made.packages)} packages"
    origins = {w.origin.id: w.origin for w in made.packages}
    return {
        "from": [_origin(origin) for origin in origins.values()],
        "packages": [_package(w, accepted) for w in made.packages],
        "size": size,
    }


def _stacks(profile: Profile) -> dict[str, object]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return {"stacks": [_stack(stack, profile) for stack in stacks]}


def _stack(stack: Stack, profile: Profile) -> dict[str, object]:
    told: dict[str, object] = {
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
        told["torch_backend"] = stack.torch_backend
    if cuda_of(stack.torch_backend):
        nvidia = profile.hardware.nvidia
        told["eula"] = f"NVIDIA's, of its wheels: {_accepted(bool(nvidia and nvidia.accept_eula))}"
    if stack.sources:
        told["built_from_source"] = {s.name: list(s.cmake) for s in stack.sources}
    if stack.requires:
        told["requires"] = list(stack.requires)
    if stack.system_site_packages:
        told["sees_system_packages"] = stack.system_site_reason or ""
    return told


def _origin(origin: Origin) -> dict[str, object]:
    told: dict[str, object] = {
        "repository": origin.id,
        "url": origin.url or "to be named in the profile's repositories",
    }
    if origin.more_urls:
        told["more_urls"] = list(origin.more_urls)
    if origin.site:
        told["address_of"] = "the site"
    told["key"] = origin.key_url or (
        "in the profile" if origin.key else "to be given in the profile's repositories"
    )
    told["key_sha256"] = origin.key_sha256 or "unknown: to be pinned before anything installs"
    if origin.key_sha256 and origin.digest_of == "file_without_version_lines":
        told["key_sha256_of"] = "the key file without the lines that begin with Version"
    told["gpgcheck"] = origin.gpgcheck
    return told | _read(origin.source, origin.note)


def _package(w: Wanted, accepted: bool) -> dict[str, object]:
    told: dict[str, object] = {"package": w.package, "repository": w.origin.id}
    if w.version:
        told["version"] = w.version
    if w.stream:
        told["module_stream"] = w.stream
    if w.lock:
        told["held_by"] = w.lock
    told["size"] = f"{w.size_mib} MiB" if w.size_mib is not None else "unknown"
    told["licence"] = w.licence
    if w.eula:
        told["eula"] = _accepted(accepted)
    return told | _read(w.source, w.note)


def _accepted(yes: bool) -> str:
    return "accepted in the profile" if yes else "not accepted: nothing is built"


def _read(source: Source, note: str | None) -> dict[str, object]:
    told: dict[str, object] = {"as_of": source.as_of.isoformat(), "verified": source.verified}
    told["source"] = source.title
    return told | ({"note": note} if note else {})


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
    return _DOES[layer] + _host(profile, layer)


def _host(profile: Profile, layer: str) -> str:
    """What the sections of the host's own layers say, behind what the layer does."""
    if layer == "kernel_hardening":
        asked = (profile.kernel_hardening or KernelHardening()).kernel_arguments
        return f": {', '.join(asked) or 'no lock-down, unsigned modules'}"
    if layer == "tuning":
        tuning = profile.tuning or Tuning()
        return f": {tuning.name}, {tuning.manager}"
    if layer == "audit":
        host = profile.audit.log_host if profile.audit else None
        return f": logs go to {host.host} over TLS" if host else ": logs stay on the machine"
    if layer == "sovereign_stack" and profile.sovereign:
        return _serves(profile.sovereign.server)
    return ""


def _serves(server: Server) -> str:
    held = f"of stack {server.stack} with the model {server.model}"
    if server.engine == "vllm":
        gpus = f"{server.gpus} GPU{'s' if server.gpus > 1 else ''}"
        return f": vLLM {held} on {gpus}, never tried by hardpan's makers"
    return f": llama.cpp {held} on the processor"


def _open_questions(profile: Profile) -> list[str]:
    """What a person has to say before this can be built."""
    nvidia = profile.hardware.nvidia
    if nvidia and not nvidia.accept_eula:
        return ["hardware.nvidia.accept_eula is false: read NVIDIA's licence and set it to true"]
    return []
