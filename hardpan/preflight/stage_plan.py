"""Which stages a run would execute, and which it would reuse from a previous run.

Every cached stage is the object that the build itself runs (``hardpan.builder.stages``,
``hardpan.workflow.stages``): no key is derived here. A stored result counts if its record matches
and its files exist; their digests are compared only by a run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hardpan.builder import stages as build_stages
from hardpan.builder.image_formats import converted_formats
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256
from hardpan.core.stage_cache import CachedStage, StageResult
from hardpan.kickstart import boot_arguments, make_volume_label
from hardpan.preflight.checks import Environment
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.workflow import stages as workflow_stages


class StageState(StrEnum):
    """What a run would do for a stage."""

    PROVIDED = "provided"
    """Use the file that an option names."""

    INSTALLED = "installed"
    """Use what this machine has without any run."""

    CACHED = "cached"
    """Reuse a result from the cache folder."""

    REUSE = "reuse"
    """Reuse the result of a previous run into the same output folder."""

    BUILD = "build"
    """Execute the stage."""

    UNDETERMINED = "undetermined"
    """Reuse or build: an input is known only at run time."""

    MISSING = "missing"
    """An input does not exist; the errors of the plan say which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """A stage and what a run would do for it."""

    name: str
    state: StageState
    description: str
    outputs: tuple[Path, ...] = ()
    required_mib: int = 0
    """Free disk space in MiB that the stage needs before it starts."""

    required_in: Path | None = None

    @property
    def may_run(self) -> bool:
        """True unless a stored result is certain to be reused."""
        return self.state in (StageState.BUILD, StageState.UNDETERMINED)


def plan_stages(environment: Environment, *, with_scan: bool) -> tuple[PlannedStage, ...]:
    """Return the stages in order; ``with_scan`` adds those that follow a build."""
    return tuple(_plan_all(environment, with_scan=with_scan))


def _plan_all(environment: Environment, *, with_scan: bool) -> Iterator[PlannedStage]:
    request = environment.request
    profile, cache_folder = request.profile, request.cache_folder
    yield _plan_media(environment)
    if environment.builds_image:
        yield _plan_content(environment)
    iso, result = _plan_cached(_iso_stage(environment))
    yield iso
    if not environment.builds_image:
        return

    iso_sha256 = _result_sha256(result)
    install_stage = build_stages.install_stage(
        profile,
        cache_folder,
        iso_sha256=iso_sha256,
        packages_bytes=environment.packages_bytes,
    )
    install, result = _plan_cached(install_stage)
    yield install

    base_sha256 = _result_sha256(result)
    content_sha256 = environment.content.sha256 if environment.content else None
    assess_stage = build_stages.assess_stage(
        profile, cache_folder, base_sha256=base_sha256, content_sha256=content_sha256
    )
    assess, _ = _plan_cached(assess_stage, after=install)
    yield assess
    harden, result = _plan_cached(
        _harden_stage(environment, base_sha256, content_sha256), after=install
    )
    yield harden

    image_sha256 = _result_sha256(result)
    converted, formats = [], _plan_formats(environment, image_sha256, after=harden)
    for planned, result in formats:
        yield planned
        converted.append(_result_sha256(result))
    provenance_stage = workflow_stages.provenance_stage(
        request,
        environment.keyring,
        image_sha256=image_sha256,
        iso_sha256=iso_sha256,
        content_sha256=content_sha256,
        converted_sha256=converted,
    )
    provenance, _ = _plan_cached(provenance_stage, after=harden)
    yield provenance
    if not with_scan:
        return
    scan_stage = workflow_stages.scan_stage(
        request, environment.keyring, image_sha256=image_sha256, content_sha256=content_sha256
    )
    scan, _ = _plan_cached(scan_stage, after=harden)
    yield scan
    yield PlannedStage(
        name="verify",
        state=StageState.BUILD,
        description="verify the evidence against the policy",
    )


def _plan_formats(
    environment: Environment, image_sha256: Sha256 | None, *, after: PlannedStage
) -> Iterator[tuple[PlannedStage, StageResult | None]]:
    """Plan the conversion of the image to each further format."""
    request = environment.request
    for disk_format in converted_formats(request.image_formats):
        stage = build_stages.format_stage(
            request.profile,
            request.output_folder,
            disk_format,
            image_sha256=image_sha256,
            packages_bytes=environment.packages_bytes,
        )
        yield _plan_cached(stage, after=after)


def _plan_cached(
    stage: CachedStage, *, after: PlannedStage | None = None
) -> tuple[PlannedStage, StageResult | None]:
    """Return what a run would do for ``stage``, and its stored result.

    No record of ``stage`` can match if the stage before it, ``after``, is built again.
    """
    result = stage.load(check_digests=False)
    if result is not None:
        state = StageState.CACHED if stage.is_shared else StageState.REUSE
    elif stage.inputs is not None or (after is not None and after.state is StageState.BUILD):
        state = StageState.BUILD
    elif stage.has_any_record():
        state = StageState.UNDETERMINED
    else:
        state = StageState.BUILD
    planned = PlannedStage(
        name=stage.name,
        state=state,
        description=stage.description,
        outputs=stage.outputs,
        required_mib=stage.required_mib,
        required_in=stage.required_in,
    )
    return planned, result


def _plan_media(environment: Environment) -> PlannedStage:
    media = environment.media
    if media is None:
        return PlannedStage(name="media", state=StageState.MISSING, description="see the problems")
    if media.path is None:
        return PlannedStage(
            name="media",
            state=StageState.BUILD,
            description=f"{media.title}, from Debian's archive by apt's signed metadata",
            outputs=(environment.request.cache_folder,),
        )
    return PlannedStage(
        name="media",
        state=StageState.CACHED if media.sha256 else StageState.PROVIDED,
        description=f"{media.title}: {media.path}, {media.size >> 20} MiB",
    )


def _plan_content(environment: Environment) -> PlannedStage:
    content = environment.content
    if content is None:
        return PlannedStage(
            name="content", state=StageState.MISSING, description="see the problems"
        )
    is_file = content.origin_kind is ContentOrigin.FILE
    return PlannedStage(
        name="content",
        state=StageState.PROVIDED if is_file else StageState.INSTALLED,
        description=str(content),
    )


def _iso_stage(environment: Environment) -> CachedStage:
    """The digest of the media is unknown where no option and no catalog gives it."""
    request, media = environment.request, environment.media
    media_sha256 = None
    boot_options: tuple[str, ...] = ()
    if media is not None and environment.access is not None and environment.kickstart:
        media_sha256 = media.sha256
        if media.expected:
            media_sha256 = media.expected[0].sha256
        if media_sha256 is not None:
            label = make_volume_label(request.profile)
            boot_options = boot_arguments(request.profile, label)
    return build_stages.iso_stage(
        request.profile,
        request.output_folder,
        media_sha256=media_sha256,
        media_bytes=media.size if media else 0,
        kickstart_text=environment.kickstart,
        boot_options=boot_options,
    )


def _harden_stage(
    environment: Environment, base_sha256: Sha256 | None, content_sha256: Sha256 | None
) -> CachedStage:
    request = environment.request
    try:
        return build_stages.harden_stage(
            request.profile,
            request.output_folder,
            base_sha256=base_sha256,
            content_sha256=content_sha256,
            packages_bytes=environment.packages_bytes,
        )
    except InputError:  # the lock of a stack is missing: the plan has this error already
        return build_stages.harden_stage(
            request.profile, request.output_folder, base_sha256=None, content_sha256=None
        )


def _result_sha256(result: StageResult | None) -> Sha256 | None:
    return Sha256(str(result["sha256"])) if result else None
