"""What the results of the stages after the build are known by."""

from importlib.metadata import version
from pathlib import Path

from hardpan.core.files import Sha256
from hardpan.core.stage_cache import CachedStage
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.scanners.evidence.sign import writer
from hardpan.workflow.keyring import KeyRing
from hardpan.workflow.request import BuildRequest


def provenance_stage(
    name: str,
    output_folder: Path,
    keys: KeyRing,
    *,
    image_sha256: Sha256,
    iso_sha256: Sha256,
    content_sha256: Sha256,
) -> CachedStage:
    """The bill of materials and the signed provenance of the image of profile ``name``."""
    return CachedStage(
        name="provenance",
        folder=output_folder,
        inputs={
            "image": image_sha256,
            "iso": iso_sha256,
            "content": content_sha256,
            "signer": keys.build.public.sha256,
        },
        outputs=(
            output_folder / f"{name}.sbom.cdx.json",
            output_folder / f"{name}.provenance.sigstore.json",
        ),
    )


def scan_stage(
    request: BuildRequest, keys: KeyRing, *, image_sha256: Sha256, content_sha256: Sha256
) -> CachedStage:
    """The evidence and the public key beside it."""
    return CachedStage(
        name="scan",
        folder=request.output_folder,
        inputs={
            "image": image_sha256,
            "content": content_sha256,
            "profile": profile_digest(request.profile),
            "signer": keys.scan.public.sha256,
            "signer_pq": "" if keys.pq is None else keys.pq.public.sha256,
            "smoke": request.run_smoke_test,
            "nonce": request.nonce,
            "timestamp": request.timestamp_url,
            "hardpan": version("hardpan"),
        },
        outputs=evidence_paths(request),
    )


def evidence_paths(request: BuildRequest) -> tuple[Path, Path]:
    """Where the evidence lands, and the public key beside it."""
    evidence = request.output_folder / f"{request.profile.name}{writer.EVIDENCE_SUFFIX}"
    return evidence, writer.public_key_path(evidence)
