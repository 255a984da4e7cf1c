"""Which stages a run would execute, and which it would reuse from a previous run.

Every cached stage is the object that the build itself runs (``hardpan.builder.stages``,
``hardpan.workflow.stages``): no key is derived here. A stored result counts if its record matches
and its files have their recorded sizes; digests are compared only by a run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from hardpan.builder import stages as build_stages
from hardpan.builder.image_formats import converted_formats
from hardpan.builder.layers import registry
from hardpan.builder.layers.base import Layer
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256
from hardpan.core.stage_cache import CachedStage, StageResult
from hardpan.core.stage_changes import NO_RESULT, list_changes
from hardpan.kickstart import boot_arguments, make_volume_label
from hardpan.preflight.checks import Environment
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.workflow import stages as workflow_stages

VERIFY_STAGE = "verify"


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
    reasons: tuple[str, ...] = ()
    """Why the stage has to run, or may have to; empty for a result that is reused."""

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
    if environment.builds_image or request.offline:
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
    disk_sha256, last_stage = base_sha256, assess
    for layer in registry.layers_of(profile):
        stage = _layer_stage(environment, layer, disk_sha256, content_sha256)
        last_stage, result = _plan_cached(stage, after=last_stage)
        disk_sha256 = _result_sha256(result)
        yield last_stage
    public_key = environment.access.public_key if environment.access else ""
    sysprep_stage = build_stages.sysprep_stage(
        profile, cache_folder, disk_sha256=disk_sha256, public_key=public_key
    )
    sysprep, result = _plan_cached(sysprep_stage, after=last_stage)
    yield sysprep
    image_stage = build_stages.image_stage(
        profile,
        request.output_folder,
        disk_sha256=_result_sha256(result),
        packages_bytes=environment.packages_bytes,
    )
    image, result = _plan_cached(image_stage, after=sysprep)
    yield image

    image_sha256 = _result_sha256(result)
    converted, formats = [], _plan_formats(environment, image_sha256, after=image)
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
    provenance, _ = _plan_cached(provenance_stage, after=image)
    yield provenance
    if not with_scan:
        return
    scan_stage = workflow_stages.scan_stage(
        request, environment.keyring, image_sha256=image_sha256, content_sha256=content_sha256
    )
    scan, _ = _plan_cached(scan_stage, after=image)
    yield scan
    yield PlannedStage(
        name=VERIFY_STAGE,
        state=StageState.BUILD,
        description="verify the evidence against the policy",
        reasons=("runs every time",),
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

    If the stage before it, ``after``, is built again, its result has other bytes: no record of
    ``stage`` can match, and the assessment of another base is of no use to the layers.
    """
    is_rebuilt = after is not None and after.state is StageState.BUILD
    result = None if is_rebuilt else stage.load(check_digests=False)
    reasons: tuple[str, ...] = ()
    if result is not None:
        state = StageState.CACHED if stage.is_shared else StageState.REUSE
    elif after is not None and is_rebuilt:
        state, reasons = StageState.BUILD, (f"follows {after.name}, which is built",)
    elif stage.inputs is not None:
        state, reasons = StageState.BUILD, list_changes(stage)
    elif stage.record_paths():
        state, reasons = StageState.UNDETERMINED, ("an input is known only at run time",)
    else:
        state, reasons = StageState.BUILD, (NO_RESULT,)
    planned = PlannedStage(
        name=stage.name,
        state=state,
        description=stage.description,
        outputs=stage.outputs,
        required_mib=stage.required_mib,
        required_in=stage.required_in,
        reasons=reasons,
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
            reasons=("the cache has no media",),
        )
    return PlannedStage(
        name="media",
        state=StageState.PROVIDED if environment.request.media else StageState.CACHED,
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
        if request.offline:  # the layers' files, which have a digest once they are collected
            media_sha256 = None
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
        waits_for_key=not (request.erase_disks or request.profile.storage.erase_disks),
    )


def _layer_stage(
    environment: Environment,
    layer: Layer,
    disk_sha256: Sha256 | None,
    content_sha256: Sha256 | None,
) -> CachedStage:
    request = environment.request
    describe = partial(build_stages.layer_stage, request.profile, request.cache_folder, layer)
    try:
        return describe(disk_sha256=disk_sha256, content_sha256=content_sha256)
    except InputError:  # the lock of a stack is missing: the plan has this error already
        return describe(disk_sha256=None, content_sha256=None)


def _result_sha256(result: StageResult | None) -> Sha256 | None:
    return Sha256(str(result["sha256"])) if result else None
