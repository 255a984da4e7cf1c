"""Layer ``ai_service``: model server, knowledge base and chat page behind a TLS proxy."""

from pathlib import Path

from hardpan.builder.ai_service.render import archive_members, proxy_user
from hardpan.builder.ansible import archive
from hardpan.builder.layers.base import (
    PLACEHOLDER_PATH,
    Layer,
    LayerPreparation,
    PreparedLayer,
)
from hardpan.profiles.schema.profile import Profile

_ARCHIVE_NAME = "ai_service.tar"


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Write the archive of the service, which starts at the boot after its installation."""
    profile = preparation.profile
    archive.write_archive(preparation.folder / _ARCHIVE_NAME, archive_members(profile))
    return PreparedLayer(variables=role_variables(profile, preparation.runtime_path(_ARCHIVE_NAME)))


def role_variables(profile: Profile, archive_path: Path) -> dict[str, object]:
    """Return the role's variables; ``archive_path`` is on the controller."""
    return {
        "ai_service_archive": str(archive_path),
        "ai_service_proxy_user": proxy_user(profile),
    }


def planned_variables(profile: Profile) -> dict[str, object]:
    """Return the role's variables with a placeholder for the archive."""
    return role_variables(profile, PLACEHOLDER_PATH)


def describe_server(profile: Profile) -> str:
    """Return engine, Python stack, model and hardware of the model server."""
    if profile.ai_service is None:
        return ""
    server = profile.ai_service.server
    source = f"of stack {server.stack} with the model {server.model}"
    if server.engine == "vllm":
        gpus = f"{server.gpus} GPU{'s' if server.gpus > 1 else ''}"
        return f"vLLM {source} on {gpus}, not tested by the hardpan project"
    return f"llama.cpp {source} on the processor"


AI_SERVICE = Layer(
    name="ai_service",
    section="ai_service",
    reads=("frameworks",),
    summary="sets up model server, knowledge base and chat page behind a TLS proxy",
    details=describe_server,
    prepare=prepare,
    planned_variables=planned_variables,
)
