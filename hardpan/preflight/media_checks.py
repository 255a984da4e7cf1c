"""Checks of the install media; without the libraries of a build, for ``hardpan check``."""

from pathlib import Path

from hardpan.builder.media import sources
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.builder.media.package_check import MediaPackages, compare_packages, require_packages
from hardpan.builder.media.sources import MediaCandidate
from hardpan.core.error_collector import ErrorCollector
from hardpan.profiles.schema.profile import Profile


def check_media(
    profile: Profile,
    file: Path | None,
    cache_folder: Path,
    errors: ErrorCollector,
    *,
    digest: DigestOptions | None = None,
) -> tuple[MediaCandidate | None, MediaPackages | None]:
    """Return the media of the profile, and its packages on them.

    Collects whatever prevents a build: media that cannot be used, and each missing package. Lab
    media that are not built yet have no packages.
    """
    candidate = None
    with errors.collecting("media"):
        candidate = sources.find_local(
            profile.media.catalog, file=file, cache=cache_folder, digest=digest
        )
    if candidate is None or candidate.content is None or candidate.path is None:
        return candidate, None
    packages = compare_packages(profile, candidate.content)
    with errors.collecting("media"):
        require_packages(candidate.path, packages)
    return candidate, packages
