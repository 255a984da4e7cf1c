"""The layer ``containers``: podman, GPUs by CDI, and signed images alone."""

import json
from collections.abc import Mapping

from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers import vendor_packages
from hardpan.builder.layers.base import LayerTask
from hardpan.profiles.schema.profile import Profile

_POLICY = "/etc/containers/policy.json"
_KEYS = "/etc/pki/containers"


def apply(task: LayerTask) -> LayerResult:
    """Install podman and, for NVIDIA, what describes the GPUs to it."""
    return vendor_packages.install_packages(task, role_variables(task.profile))


def role_variables(profile: Profile) -> dict[str, object]:
    """The signature policy with the site's registries, and the units of CDI."""
    nvidia = profile.hardware.accelerator == "nvidia"
    return {
        "containers_files": render_policy(profile),
        "containers_units": [f"nvidia-cdi-refresh.{x}" for x in ("path", "service") if nvidia],
    }


def render_policy(profile: Profile) -> dict[str, str]:
    """Files for podman: what is not signed by a registry's own key is rejected."""
    registries = profile.containers.registries
    files: dict[str, str] = {}
    signed: dict[str, list[Mapping[str, object]]] = {}
    attachments: dict[str, Mapping[str, bool]] = {}
    for i, registry in enumerate(registries, 1):
        key = f"{_KEYS}/hardpan-{i}.pem"
        files[key] = registry.sigstore_key
        signed[registry.registry] = [
            {
                "type": "sigstoreSigned",
                "keyPath": key,
                # cosign signs a digest of a repository, not a tag.
                "signedIdentity": {"type": "matchRepository"},
            }
        ]
        attachments[registry.registry] = {"use-sigstore-attachments": True}
    transports: dict[str, object] = {
        # What is already here came through this policy; without it nothing can be pushed.
        "containers-storage": {"": [{"type": "insecureAcceptAnything"}]}
    }
    if signed:
        transports["docker"] = signed
        # JSON is YAML.
        files["/etc/containers/registries.d/hardpan.yaml"] = _json({"docker": attachments})
    files[_POLICY] = _json({"default": [{"type": "reject"}], "transports": transports})
    return files


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
