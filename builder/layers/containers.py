"""Layer ``containers``: podman, GPUs through CDI, signed images only."""

import json
from collections.abc import Mapping

from hardpan.builder.layers.vendor_packages import vendor_layer
from hardpan.profiles.schema.profile import Profile

_POLICY = "/etc/containers/policy.json"
_KEYS = "/etc/pki/containers"


def role_variables(profile: Profile) -> dict[str, object]:
    """Return the signature policy for the site's registries and the units of CDI."""
    nvidia = profile.hardware.accelerator == "nvidia"
    return {
        "containers_files": render_policy(profile),
        "containers_units": [f"nvidia-cdi-refresh.{x}" for x in ("path", "service") if nvidia],
    }


def render_policy(profile: Profile) -> dict[str, str]:
    """Render podman's policy files: images not signed with their registry's key are rejected."""
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
        # Local images passed this policy when they were pulled; without it nothing can be pushed.
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


CONTAINERS = vendor_layer(
    name="containers",
    section="containers",
    summary="installs podman and, for NVIDIA, the Container Toolkit",
    extra_variables=role_variables,
)
