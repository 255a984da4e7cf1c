"""Describe a build and its layers as plain data, for ``render`` and dry runs."""

from hardpan import kickstart
from hardpan.builder.layers.registry import LAYERS
from hardpan.core.files import sha256_bytes
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.frameworks import GLIBC, Stack, cuda_version
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog import eula
from hardpan.profiles.software_catalog.package_plan import (
    LayerPlan,
    PackageSpec,
    RepositorySource,
    plan_packages,
)
from hardpan.profiles.software_catalog.schema import FactSource

_PURPOSES = {
    "build": "only while the build makes the kernel modules",
    "precompiled": "instead of a build, if the repository has it for the kernel",
}


def describe_layers(profile: Profile) -> list[dict[str, object]]:
    """Return the layers in order: what each does and installs, its repositories and size."""
    is_accepted = not eula.unaccepted_packages(profile)
    described = []
    for layer_plan in plan_packages(profile):
        fields: dict[str, object] = {
            "layer": layer_plan.layer,
            "description": LAYERS[layer_plan.layer].describe(profile),
        }
        if layer_plan.layer == "ml_frameworks":
            fields |= _describe_stacks(profile)
        else:
            fields |= _describe_packages(layer_plan, is_accepted)
        described.append(fields)
    return described


def describe_waivers(profile: Profile) -> list[dict[str, str]]:
    """Return the waived rules with reason, owner and expiry."""
    return [
        {"rule": name, "reason": w.reason, "owner": w.owner, "expires": w.expires.isoformat()}
        for w in profile.stig.waivers
        for name in w.selectors
    ]


def describe_build(profile: Profile, kickstart_text: str) -> dict[str, object]:
    """Return the inputs of a build: profile, media, boot arguments, machine, accelerator."""
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
        return {"packages": "not listed: the layer's role installs them"}
    unknown_count = sum(package.size_mib is None for package in layer_plan.packages)
    total_mib = sum(package.size_mib or 0 for package in layer_plan.packages)
    sizes = [f"{total_mib} MiB"] if total_mib or not unknown_count else []
    if unknown_count:
        sizes.append(f"unknown for {unknown_count} of {len(layer_plan.packages)} packages")
    repositories = {package.repository.id: package.repository for package in layer_plan.packages}
    return {
        "repositories": [_describe_repository(repository) for repository in repositories.values()],
        "packages": [_describe_package(package, is_accepted) for package in layer_plan.packages],
        "size": " and ".join(sizes),
    }


def _describe_stacks(profile: Profile) -> dict[str, object]:
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return {"stacks": [_describe_stack(stack, profile) for stack in stacks]}


def _describe_stack(stack: Stack, profile: Profile) -> dict[str, object]:
    fields: dict[str, object] = {
        "stack": stack.name,
        "rpm": f"hardpan-ai-{stack.name}",
        "packages": list(stack.packages),
        "lock": stack.lock or "none: not built",
        "source": stack.wheelhouse or "this machine's pip index, each file checked by digest",
        "python": f"/usr/bin/python{stack.python}",
        "glibc": stack.glibc or GLIBC[profile.release],
        "size": "unknown before the download",
    }
    if stack.torch_backend:
        fields["torch_backend"] = stack.torch_backend
    if cuda_version(stack.torch_backend):
        nvidia = profile.hardware.nvidia
        fields["eula"] = (
            f"NVIDIA's, for its wheels: {_describe_acceptance(bool(nvidia and nvidia.accept_eula))}"
        )
    if stack.sources:
        fields["built_from_source"] = {s.name: list(s.cmake) for s in stack.sources}
    if stack.requires:
        fields["requires"] = list(stack.requires)
    if stack.system_site_packages:
        fields["system_site_packages"] = stack.system_site_reason or ""
    return fields


def _describe_repository(repository: RepositorySource) -> dict[str, object]:
    fields: dict[str, object] = {
        "repository": repository.id,
        "url": "the install media"
        if repository.on_media
        else repository.url or "missing: set it in the profile's repositories",
    }
    if repository.more_urls:
        fields["more_urls"] = list(repository.more_urls)
    if repository.site:
        fields["url_of"] = "the site"
    fields["key"] = _describe_key(repository)
    fields["key_sha256"] = repository.key_sha256 or "unknown: required before anything is installed"
    if repository.key_sha256 and repository.digest_of == "file_without_version_lines":
        fields["key_sha256_of"] = "the key file without its Version lines"
    fields["gpgcheck"] = repository.gpgcheck
    if repository.build_only:
        fields["kept"] = "no: only the build uses it"
    return fields | _describe_source(repository.source, repository.note)


def _describe_key(repository: RepositorySource) -> str:
    if repository.key_file:
        return repository.key_file
    if repository.key_url:
        return repository.key_url
    return "in the profile" if repository.key else "missing: set it in the profile's repositories"


def _describe_package(package: PackageSpec, is_accepted: bool) -> dict[str, object]:
    fields: dict[str, object] = {"package": package.package, "repository": package.repository.id}
    if package.version:
        fields["version"] = package.version
    if package.stream:
        fields["module_stream"] = package.stream
    if package.lock:
        fields["version_lock"] = package.lock
    if package.purpose != "run":
        fields["purpose"] = _PURPOSES[package.purpose]
    fields["size"] = f"{package.size_mib} MiB" if package.size_mib is not None else "unknown"
    fields["licence"] = package.licence
    if package.eula:
        fields["eula"] = _describe_acceptance(is_accepted)
    return fields | _describe_source(package.source, package.note)


def _describe_acceptance(is_accepted: bool) -> str:
    return "accepted in the profile" if is_accepted else "not accepted: not built"


def _describe_source(source: FactSource, note: str | None) -> dict[str, object]:
    fields: dict[str, object] = {"as_of": source.as_of.isoformat(), "verified": source.verified}
    fields["source"] = source.title
    return fields | ({"note": note} if note else {})


def _open_questions(profile: Profile) -> list[str]:
    """Return the decisions that the profile needs before a build."""
    nvidia = profile.hardware.nvidia
    if nvidia and not nvidia.accept_eula:
        return ["hardware.nvidia.accept_eula is false: read NVIDIA's licence and set it to true"]
    return []
