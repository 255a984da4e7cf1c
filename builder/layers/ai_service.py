"""Layer ``ai_service``: model server, knowledge base and chat page behind a TLS proxy."""

from pathlib import Path

from hardpan.builder.ai_service.render import archive_members, proxy_user
from hardpan.builder.ansible import archive
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import LayerTask
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
