"""Build an image from a profile, attest it, scan it and verify the evidence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from hardpan.builder import build_lock, image_formats
from hardpan.builder import pipeline as build_pipeline
from hardpan.builder.artifacts import Assessment, BootedGuest, OfflineContent, UnattendedIso
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.hardened_image import HardenedImage
from hardpan.builder.media import package_check, sources
from hardpan.builder.media.repositories import read_media_content
from hardpan.builder.vm.boot import boot
from hardpan.builder.vm.probe import Acceleration, detect_acceleration
from hardpan.core import clock, events
from hardpan.core.events import Emit, StageMessage
from hardpan.core.files import sha256_bytes
from hardpan.core.stage_cache import StageResult
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners import pipeline as scan_pipeline
from hardpan.scanners.collect.plan import plan_profile
from hardpan.scanners.content import datastream
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.self_assessment import prepare_self_assessment
from hardpan.scanners.content_provider import ContentProvider
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.signing_options import next_chain_link, scanner_identity, timestamper
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence
from hardpan.scanners.evidence.verify.verifier import verify as verify_evidence
from hardpan.scanners.model.scan import ImageRef
from hardpan.scanners.scan_request import ScanRequest
from hardpan.signing import read_bundle
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from hardpan.ssh.target import from_guest
from hardpan.ssh.transports import CONNECT_TIMEOUT_S, open_connection
from hardpan.workflow import attestation, keyring, stages
from hardpan.workflow.keyring import KeyRing
from hardpan.workflow.request import BuildRequest

_CONNECT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedImage:
    """A built image with its SBOM and signed provenance."""

    plan: BuildPlan
    iso: UnattendedIso
    hardened: HardenedImage
    source: ContentSource
    keyring: KeyRing
    provenance: bytes
    """The signed Sigstore bundle."""

    sbom: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Evidence that was signed and verified."""

    image: AttestedImage
    evidence: Path
    verified: VerifiedEvidence


def prepare_build(request: BuildRequest, emit: Emit) -> BuildPlan:
    """Provide the media, the operator's SSH key and the acceleration that a build needs."""
    request.output_folder.mkdir(parents=True, exist_ok=True)
    request.cache_folder.mkdir(parents=True, exist_ok=True)
    access = keyring.ensure_operator_key(
        request.profile.build_user, request.ssh_key_file, request.data_folder
    )
    with events.run_stage(emit, "media"):
        media = sources.provide_media(
            request.profile.media.catalog,
            file=request.media,
            digest=request.media_digest,
            cache=request.cache_folder,
            emit=emit,
        )
        # The lab's media may be newer than those that the preflight checks read.
        content = read_media_content(media.path)
        packages = package_check.compare_packages(request.profile, content)
        package_check.require_packages(media.path, packages)
        media = replace(media, metadata_sha256=content.sha256)
    return BuildPlan(
        profile=request.profile,
        media=media,
        access=access,
        output_folder=request.output_folder,
        cache_folder=request.cache_folder,
        emit=emit,
        packages_bytes=packages.base.installed_bytes,
        luks_passphrase=request.read_luks_passphrase(),
        erase_disks=request.erase_disks,
        offline=_prepare_offline_content(request) if request.offline else None,
        max_iso_mib=request.max_iso_mib,
        media_content=content,
        required_lock=request.lock,
        choose_acceleration=cache(partial(_choose_acceleration, emit)),
        stall_timeout_s=request.stall_timeout_s,
        install_timeout_s=request.install_timeout_s,
        command=request.command,
        may_wait=request.may_wait,
    )


def _choose_acceleration(emit: Emit) -> Acceleration:
    accelerator = detect_acceleration()
    emit(StageMessage(stage="machine", text=accelerator.reason))
    return accelerator


def _prepare_offline_content(request: BuildRequest) -> OfflineContent:
    """Return the content with which each machine evaluates itself at its first boot."""
    stig = request.profile.stig
    source = datastream.find(stig.content, request.content)
    prepared = prepare_self_assessment(source, stig.profile_id)
    return OfflineContent(
        data_stream=prepared.data_stream,
        profile_id=prepared.profile_id,
        assessment=Assessment(content_sha256=source.sha256, counts={}, fixes=prepared.fixes),
    )


def build_image(request: BuildRequest, emit: Emit) -> AttestedImage:
    """Build a hardened and generalized image, with SBOM and signed provenance."""
    plan = prepare_build(request, emit)
    keys = keyring.ensure_signing_keys(
        request.keys_folder, request.data_folder, request.output_folder, request.key_refs
    )
    source = datastream.find(request.profile.stig.content, request.content)
    emit(StageMessage(stage="content", text=str(source)))
    if request.lock is not None:
        inputs = build_lock.lock_inputs(
            plan.profile.name, plan.media, plan.media_content, source.sha256
        )
        build_lock.require_unchanged_inputs(request.lock, inputs)
    iso = build_pipeline.build_iso(plan)
    base = build_pipeline.install_base(plan, iso)
    hardened = build_pipeline.harden_image(
        plan,
        base,
        content_sha256=source.sha256,
        assess=lambda guest: _assess(guest, request.profile, source, emit),
        open_shell=_open_shell,
    )
    files = image_formats.write_formats(
        plan.profile, hardened.disk, request.image_formats, plan.output_folder, emit
    )
    hardened = replace(hardened, files=files)
    build = attestation.AttestedBuild(
        plan=plan, iso=iso, hardened=hardened, content_sha256=source.sha256
    )
    provenance_bundle, sbom_document = attestation.attest_image(request, build, keys)
    return AttestedImage(
        plan=plan,
        iso=iso,
        hardened=hardened,
        source=source,
        keyring=keys,
        provenance=provenance_bundle,
        sbom=sbom_document,
    )


def build_and_scan(request: BuildRequest, emit: Emit) -> RunResult:
    """Build, boot, scan, sign and verify."""
    image = build_image(request, emit)
    stage = stages.scan_stage(
        request,
        image.keyring,
        image_sha256=image.hardened.disk.sha256,
        content_sha256=image.source.sha256,
    )
    evidence, _public_key = stage.outputs
    stage.run(emit, lambda _report_progress: _scan(request, image, evidence, emit))
    with events.run_stage(emit, "verify"):
        verified = verify_evidence(
            evidence, load_trust_policy(image.keyring.policy), now=clock.now()
        )
    return RunResult(image=image, evidence=evidence, verified=verified)


def _scan(request: BuildRequest, image: AttestedImage, evidence: Path, emit: Emit) -> StageResult:
    plan, disk = image.plan, image.hardened.disk
    with boot(
        plan.vm_spec(disk.path),
        plan.access,
        plan.acceleration,
        log=request.output_folder / "scan.log",
        emit=emit,
        overlay=True,
    ) as guest:
        scan_request = _build_scan_request(request, image)
        with open_connection(
            from_guest(guest), timeout_s=CONNECT_TIMEOUT_S, emit=emit
        ) as connection:
            scan = scan_pipeline.scan(scan_request, connection, emit)
            scan = scan_pipeline.let_host_sign(scan, connection, emit, nonce=request.nonce)
    keys = image.keyring
    signing_options = writer.SigningOptions(
        timestamper=timestamper(request.timestamp_url),
        chain=next_chain_link(None),
        runner=scanner_identity(scan.transport),
    )
    writer.write_evidence(
        scan,
        keys.scan,
        evidence,
        emit,
        nonce=request.nonce,
        pq_signer=keys.pq,
        options=signing_options,
    )
    return {"evidence": evidence.name, "boot_s": f"{guest.boot_s:.1f}"}


def _build_scan_request(request: BuildRequest, image: AttestedImage) -> ScanRequest:
    plan = plan_profile(request.profile)
    provider = ContentProvider(plan=plan, content=image.source, tailoring=request.tailoring)
    # The baseline has the rules of the profile; a tailored profile may have others.
    is_tailored = request.tailoring is not None
    return ScanRequest(
        plan=plan,
        provide_content=provider.provide,
        run_smoke=request.run_smoke_test,
        baseline_counts=None if is_tailored else image.hardened.baseline_counts,
        image=_image_reference(image),
        invocation=request.invocation,
    )


def _assess(guest: BootedGuest, profile: Profile, source: ContentSource, emit: Emit) -> Assessment:
    with open_connection(from_guest(guest), timeout_s=CONNECT_TIMEOUT_S, emit=emit) as connection:
        evaluation, fixes = scan_pipeline.assess(connection, plan_profile(profile), source, emit)
    return Assessment(
        content_sha256=source.sha256,
        counts=evaluation.counts(),
        fixes=fixes,
    )


@contextmanager
def _open_shell(guest: BootedGuest) -> Iterator[Connection]:
    with connect(from_guest(guest), timeout_s=_CONNECT_S) as connection:
        yield connection


def _image_reference(image: AttestedImage) -> ImageRef:
    envelope = read_bundle(image.provenance, label="provenance")
    return ImageRef(
        name=image.hardened.disk.path.name,
        sha256=image.hardened.disk.sha256,
        provenance=image.provenance,
        provenance_statement_sha256=sha256_bytes(envelope.unverified_payload),
        sbom=image.sbom,
    )
