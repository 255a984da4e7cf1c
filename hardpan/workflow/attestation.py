"""Bills of materials, lock and signed provenance of an image, next to it."""

from dataclasses import dataclass
from importlib.metadata import version

from hardpan.builder import pipeline
from hardpan.builder.artifacts import UnattendedIso
from hardpan.builder.attest import provenance, sbom, spdx
from hardpan.builder.build_lock import BuildLock
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.hardened_image import HardenedImage
from hardpan.core.files import Sha256, sha256_bytes, write_atomic
from hardpan.core.stage_cache import StageResult
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.signing import sign
from hardpan.workflow import stages
from hardpan.workflow.keyring import KeyRing
from hardpan.workflow.request import BuildRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedBuild:
    """The image of a build and what it was built from."""

    plan: BuildPlan
    iso: UnattendedIso
    hardened: HardenedImage
    content_sha256: Sha256


def attest_image(request: BuildRequest, build: AttestedBuild, keys: KeyRing) -> tuple[bytes, bytes]:
    """Return the signed provenance and the CycloneDX document; all files are written."""
    hardened = build.hardened
    stage = stages.provenance_stage(
        request,
        keys,
        image_sha256=hardened.disk.sha256,
        iso_sha256=build.iso.sha256,
        content_sha256=build.content_sha256,
        converted_sha256=[file.sha256 for file in hardened.converted],
    )
    sbom_path, spdx_path, lock_path, bundle_path = stage.outputs

    def execute(_report_progress: object) -> StageResult:
        lock = pipeline.lock_build(build.plan, hardened, build.content_sha256)
        write_atomic(lock_path, lock.to_json())
        write_atomic(sbom_path, _build_cyclonedx(build))
        write_atomic(spdx_path, _build_spdx(build))
        write_atomic(bundle_path, _sign_provenance(build, lock, keys))
        return {}

    stage.run(build.plan.emit, execute)
    return bundle_path.read_bytes(), sbom_path.read_bytes()


def _build_cyclonedx(build: AttestedBuild) -> bytes:
    hardened = build.hardened
    return sbom.build_sbom(
        hardened.disk.path.name,
        hardened.disk.sha256,
        hardened.packages,
        distro=build.plan.profile.release,
        stacks=hardened.stacks,
    )


def _build_spdx(build: AttestedBuild) -> bytes:
    hardened = build.hardened
    return spdx.build_spdx(
        hardened.disk.path.name,
        hardened.disk.sha256,
        hardened.packages,
        release=build.plan.profile.release,
        created=hardened.finished,
        version=version("hardpan"),
        stacks=hardened.stacks,
    )


def _sign_provenance(build: AttestedBuild, lock: BuildLock, keys: KeyRing) -> bytes:
    plan, hardened = build.plan, build.hardened
    record = provenance.BuildRecord(
        profile=plan.profile.name,
        profile_sha256=profile_digest(plan.profile),
        disk=hardened.disk,
        iso=build.iso,
        media=plan.media,
        content_sha256=build.content_sha256,
        layers=hardened.layers,
        accelerator=plan.acceleration.kind,
        version=version("hardpan"),
        started=hardened.started,
        finished=hardened.finished,
        converted=hardened.converted,
        lock_sha256=sha256_bytes(lock.to_json()),
        locked_files=(
            *((f"repository:{x.name}", x.sha256) for x in lock.repositories),
            *((f"wheel:{x.name}", x.sha256) for x in lock.wheels),
            *((f"model:{x.name}", x.sha256) for x in lock.models),
        ),
    )
    return sign(provenance.provenance_statement(record), keys.build).bundle
