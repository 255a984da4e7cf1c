"""The stages after the build: attestation and scan. See ``hardpan.builder.stages``."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from hardpan.core.files import Sha256
from hardpan.core.stage_cache import CachedStage, digest_code
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.evidence.file_names import EVIDENCE_SUFFIX
from hardpan.scanners.evidence.sign import output_files
from hardpan.workflow.keyring import KeyRing
from hardpan.workflow.request import BuildRequest


def provenance_stage(
    request: BuildRequest,
    keys: KeyRing | None,
    *,
    image_sha256: Sha256 | None,
    iso_sha256: Sha256 | None,
    content_sha256: Sha256 | None,
    converted_sha256: Sequence[str | None] = (),
) -> CachedStage:
    """Describe the stage that writes the SBOMs, the lock and the signed provenance of the image.

    ``converted_sha256`` are the digests of its other formats, None for one that is not known yet.
    """
    profile = request.profile
    inputs: dict[str, object] | None = None
    if keys and image_sha256 and iso_sha256 and content_sha256 and all(converted_sha256):
        inputs = {
            "image": image_sha256,
            "iso": iso_sha256,
            "content": content_sha256,
            "signer": keys.build.public.sha256,
            "converted": list(converted_sha256),
            "profile": profile_digest(profile),
            "hardpan": version("hardpan"),
        }
    return CachedStage(
        name="provenance",
        description="write bills of materials, lock and the signed SLSA provenance",
        folder=request.output_folder,
        inputs=inputs,
        output_names=(
            f"{profile.name}.sbom.cdx.json",
            f"{profile.name}.sbom.spdx.json",
            f"{profile.name}.lock.json",
            f"{profile.name}.provenance.sigstore.json",
        ),
    )


def scan_stage(
    request: BuildRequest,
    keys: KeyRing | None,
    *,
    image_sha256: Sha256 | None,
    content_sha256: Sha256 | None,
) -> CachedStage:
    """Describe the stage that boots the image behind an overlay, scans it and signs."""
    inputs: dict[str, object] | None = None
    if keys and image_sha256 and content_sha256:
        inputs = {
            "image": image_sha256,
            "content": content_sha256,
            "profile": profile_digest(request.profile),
            "signer": keys.scan.public.sha256,
            "signer_pq": "" if keys.pq is None else keys.pq.public.sha256,
            "tailoring": "" if request.tailoring is None else request.tailoring.sha256,
            "smoke": request.run_smoke_test,
            "nonce": request.nonce,
            "timestamp": request.timestamp_url,
            "hardpan": version("hardpan"),
            "code": digest_code("hardpan.scanners", "hardpan.signing", "hardpan.ssh"),
        }
    return CachedStage(
        name="scan",
        description="boot the image behind an overlay, scan it and sign the evidence",
        folder=request.output_folder,
        inputs=inputs,
        output_names=_evidence_names(request.profile),
    )


def _evidence_names(profile: Profile) -> tuple[str, str]:
    """Names of the evidence file and of the public key next to it."""
    evidence = f"{profile.name}{EVIDENCE_SUFFIX}"
    return evidence, output_files.public_key_path(Path(evidence)).name
