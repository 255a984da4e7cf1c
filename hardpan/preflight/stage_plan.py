"""Which stages a run would carry out, and which it would take from an earlier one.

An earlier result is known by its record, and its files have to be there: their digests,
which a run compares, are left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hardpan.builder import install, pipeline
from hardpan.builder import stages as build_stages
from hardpan.builder.media.remaster import required_mib
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256
from hardpan.core.stage_cache import CachedStage, StageResult
from hardpan.kickstart import boot_arguments
from hardpan.preflight.checks import Environment
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.workflow import stages

StageState = Literal["given", "present", "cache", "earlier", "anew", "open", "missing"]
"""``given``: a file that was named. ``present``: on this machine before any run. ``cache`` and
``earlier``: taken from there or from an earlier run into the same folder. ``anew``: made by
the run. ``open``: it shows on the way."""

_RECORD_NAME = "{}.stage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage as it would go."""

    name: str
    state: StageState
    description: str
    outputs: tuple[Path, ...] = ()
    required_mib: int = 0
    """Free disk that it is begun with."""

    required_in: Path | None = None


def plan_stages(environment: Environment, *, with_scan: bool) -> tuple[PlannedStage, ...]:
    """The stages in order; with ``proof`` those that follow a build."""
    return tuple(_plan_all(environment, with_scan=with_scan))


def _plan_all(environment: Environment, *, with_scan: bool) -> Iterator[PlannedStage]:
    request = environment.request
    yield _plan_media(environment)
    if environment.builds_image:
        yield _plan_content(environment)
    state, result = _stage_state(
        _iso_stage(environment), "earlier", request.output_folder / _RECORD_NAME.format("iso")
    )
    yield PlannedStage(
        name="iso",
        state=state,
        description="the media with the kickstart on it, read back",
        outputs=(request.output_folder / f"{request.profile.name}.iso",),
        required_mib=required_mib(environment.media.size)
        if environment.media and environment.media.size
        else 0,
        required_in=request.output_folder,
    )
    if environment.builds_image:
        yield from _plan_image(environment, _result_sha256(result), with_scan=with_scan)


def _plan_image(
    environment: Environment, iso_sha256: Sha256 | None, *, with_scan: bool
) -> Iterator[PlannedStage]:
    profile, cache = environment.request.profile, environment.request.cache_folder
    stage = (
        build_stages.install_stage(profile, cache, iso_sha256=iso_sha256) if iso_sha256 else None
    )
    records = (cache / "installs").glob(f"*/{_RECORD_NAME.format('install')}")
    state, result = _stage_state(stage, "cache", *records)
    yield PlannedStage(
        name="install",
        state=state,
        description=f"the ISO is booted onto a disk of {profile.disk_size_mib} MiB",
        outputs=stage.outputs if stage else (cache / "installs",),
        required_mib=install.MIN_FREE_MIB,
        required_in=cache,
    )
    yield from _plan_hardening(
        environment, iso_sha256, _result_sha256(result), base_state=state, with_scan=with_scan
    )


def _plan_hardening(
    environment: Environment,
    iso_sha256: Sha256 | None,
    base_sha256: Sha256 | None,
    *,
    base_state: StageState,
    with_scan: bool,
) -> Iterator[PlannedStage]:
    request, content = environment.request, environment.content
    profile, output_folder = request.profile, request.output_folder
    assess_stage = harden_stage = None
    if base_sha256 and content is not None:
        assess_stage = build_stages.assess_stage(
            profile, request.cache_folder, base_sha256=base_sha256, content_sha256=content.sha256
        )
        harden_stage = _harden_stage(environment, base_sha256, content.sha256)
    records = (request.cache_folder / "assessments").glob(f"*/{_RECORD_NAME.format('assess')}")
    state, _ = _stage_state(assess_stage, "cache", *(() if base_state == "anew" else records))
    yield PlannedStage(
        name="assess", state=state, description="the fresh system is booted and scanned"
    )
    record = output_folder / _RECORD_NAME.format("harden")
    state, result = _stage_state(
        harden_stage, "earlier", *(() if base_state == "anew" else (record,))
    )
    yield PlannedStage(
        name="harden",
        state=state,
        description=f"layers: {', '.join(profile.layers)}; then the image is sealed",
        outputs=(output_folder / f"{profile.name}.qcow2",),
        required_mib=pipeline.HARDEN_REQUIRED_MIB,
        required_in=output_folder,
    )
    yield from _plan_attestation(
        environment, _result_sha256(result), iso_sha256, harden_state=state, with_scan=with_scan
    )


def _plan_attestation(
    environment: Environment,
    image_sha256: Sha256 | None,
    iso_sha256: Sha256 | None,
    *,
    harden_state: StageState,
    with_scan: bool,
) -> Iterator[PlannedStage]:
    """What vouches for an image, and with ``proof`` the scan of it."""
    request, keys = environment.request, environment.keyring
    name, output_folder = request.profile.name, request.output_folder
    content_sha256 = environment.content.sha256 if environment.content else None
    provenance_stage = scan_stage = None
    if keys and image_sha256 and iso_sha256 and content_sha256:
        provenance_stage = stages.provenance_stage(
            name,
            output_folder,
            keys,
            image_sha256=image_sha256,
            iso_sha256=iso_sha256,
            content_sha256=content_sha256,
        )
        scan_stage = stages.scan_stage(
            request, keys, image_sha256=image_sha256, content_sha256=content_sha256
        )
    may_be_reused = harden_state != "anew"
    record = output_folder / _RECORD_NAME.format("provenance")
    state, _ = _stage_state(provenance_stage, "earlier", *((record,) if may_be_reused else ()))
    yield PlannedStage(
        name="provenance",
        state=state,
        description="SBOM and SLSA provenance, signed",
        outputs=(
            output_folder / f"{name}.sbom.cdx.json",
            output_folder / f"{name}.provenance.sigstore.json",
        ),
    )
    if not with_scan:
        return
    record = output_folder / _RECORD_NAME.format("scan")
    state, _ = _stage_state(scan_stage, "earlier", *((record,) if may_be_reused else ()))
    description = "the image is booted behind an overlay, scanned, and the evidence signed"
    yield PlannedStage(
        name="scan", state=state, description=description, outputs=stages.evidence_paths(request)
    )
    yield PlannedStage(name="verify", state="anew", description="the evidence against the policy")


def _stage_state(
    stage: CachedStage | None, reused_state: StageState, *records: Path
) -> tuple[StageState, StageResult | None]:
    """How a stage goes: without its inputs it is open where there is any record at all."""
    if stage is None:
        return ("open" if any(record.is_file() for record in records) else "anew"), None
    result = stage.load(check_digests=False)
    return ("anew" if result is None else reused_state), result


def _plan_media(environment: Environment) -> PlannedStage:
    media = environment.media
    if media is None:
        return PlannedStage(name="media", state="missing", description="see the problems")
    if media.path is None:
        description = f"{media.title}, from Debian's archive by apt's signed metadata"
        return PlannedStage(
            name="media",
            state="anew",
            description=description,
            outputs=(environment.request.cache_folder,),
        )
    description = f"{media.title}: {media.path}, {media.size >> 20} MiB"
    return PlannedStage(
        name="media", state="cache" if media.sha256 else "given", description=description
    )


def _plan_content(environment: Environment) -> PlannedStage:
    content = environment.content
    if content is None:
        return PlannedStage(name="content", state="missing", description="see the problems")
    state: StageState = "given" if content.origin_kind is ContentOrigin.FILE else "present"
    return PlannedStage(name="content", state=state, description=str(content))


def _iso_stage(environment: Environment) -> CachedStage | None:
    """None where the digest of the media or the operator's key is not known yet."""
    request, media = environment.request, environment.media
    digest = media.sha256 if media else None
    if media and request.media and request.media_sha256:
        digest = Sha256(request.media_sha256)
    if media is None or digest is None or environment.access is None or not environment.kickstart:
        return None
    arguments = boot_arguments(request.profile, media.volume_id)
    return build_stages.iso_stage(
        request.profile,
        request.output_folder,
        media_sha256=digest,
        kickstart_text=environment.kickstart,
        boot_options=arguments,
    )


def _harden_stage(
    environment: Environment, base_sha256: Sha256, content_sha256: Sha256
) -> CachedStage | None:
    profile, output_folder = environment.request.profile, environment.request.output_folder
    try:
        return build_stages.harden_stage(
            profile, output_folder, base_sha256=base_sha256, content_sha256=content_sha256
        )
    except InputError:  # a lock that is none: among the problems already
        return None


def _result_sha256(result: StageResult | None) -> Sha256 | None:
    return Sha256(str(result["sha256"])) if result else None
