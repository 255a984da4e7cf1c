"""Layer ``ai_service``: model server, knowledge base and chat page behind a TLS proxy."""

from pathlib import Path

from hardpan.builder.ai_service.render import archive_members, proxy_user
from hardpan.builder.ansible import archive
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import PLACEHOLDER_PATH, Layer, LayerTask
from hardpan.profiles.schema.profile import Profile


def apply(task: LayerTask) -> LayerResult:
    """Install the service; it starts at the next boot."""
    archive_path = task.workdir / "ai_service.tar"
    archive.write_archive(archive_path, archive_members(task.profile))
    return task.run(role_variables(task.profile, archive_path))


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
    apply=apply,
    planned_variables=planned_variables,
)
