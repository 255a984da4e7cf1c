"""The layer ``containers``: podman, GPUs by CDI, and signed images alone."""

import json
from collections.abc import Mapping

from hardpan.builder.layers import packages
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt
from hardpan.profiles.model import Profile

_POLICY = "/etc/containers/policy.json"
_KEYS = "/etc/pki/containers"


def put(task: Task) -> LayerReceipt:
    """Install podman and, for NVIDIA, what describes the GPUs to it."""
    return packages.install(task, variables(task.profile))


def variables(profile: Profile) -> dict[str, object]:
    """The signature policy with the site's registries, and the units of CDI."""
    nvidia = profile.hardware.accelerator == "nvidia"
    return {
        "containers_files": policy(profile),
        "containers_units": [f"nvidia-cdi-refresh.{x}" for x in ("path", "service") if nvidia],
    }


def policy(profile: Profile) -> dict[str, str]:
    """Files for podman: what is not signed by a registry's own key is rejected."""
    named = profile.containers.registries
    files: dict[str, str] = {}
    signed: dict[str, list[Mapping[str, object]]] = {}
    attached: dict[str, Mapping[str, bool]] = {}
    for i, one in enumerate(named, 1):
        key = f"{_KEYS}/hardpan-{i}.pem"
        files[key] = one.sigstore_key
        signed[one.registry] = [
            {
                "type": "sigstoreSigned",
                "keyPath": key,
                # cosign signs a digest of a repository, not a tag.
                "signedIdentity": {"type": "matchRepository"},
            }
        ]
        attached[one.registry] = {"use-sigstore-attachments": True}
    transports: dict[str, object] = {
        # What is already here came through this policy; without it nothing can be pushed.
        "containers-storage": {"": [{"type": "insecureAcceptAnything"}]}
    }
    if signed:
        transports["docker"] = signed
        # JSON is YAML.
        files["/etc/containers/registries.d/hardpan.yaml"] = _json({"docker": attached})
    files[_POLICY] = _json({"default": [{"type": "reject"}], "transports": transports})
    return files


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
