"""What the results of the stages after the build are known by."""

from importlib.metadata import version
from pathlib import Path

from hardpan.files import Sha256
from hardpan.profiles.load import digest
from hardpan.prove.asked import Asked
from hardpan.prove.keyring import KeyRing
from hardpan.resume import Step
from hardpan.scanners.evidence import bundle


def provenance(
    name: str,
    out: Path,
    ring: KeyRing,
    *,
    image_sha256: Sha256,
    iso_sha256: Sha256,
    content: Sha256,
) -> Step:
    """The bill of materials and the signed provenance of the image of profile ``name``."""
    return Step(
        name="provenance",
        folder=out,
        inputs={
            "image": image_sha256,
            "iso": iso_sha256,
            "content": content,
            "signer": ring.build.public.sha256,
        },
        outputs=(
            out / f"{name}.sbom.cdx.json",
            out / f"{name}.provenance.sigstore.json",
        ),
    )


def scan(asked: Asked, ring: KeyRing, *, image_sha256: Sha256, content: Sha256) -> Step:
    """The evidence and the public key beside it."""
    return Step(
        name="scan",
        folder=asked.out,
        inputs={
            "image": image_sha256,
            "content": content,
            "profile": digest(asked.profile),
            "signer": ring.scan.public.sha256,
            "signer_pq": "" if ring.pq is None else ring.pq.public.sha256,
            "smoke": asked.smoke,
            "nonce": asked.nonce,
            "timestamp": asked.timestamp,
            "hardpan": version("hardpan"),
        },
        outputs=evidence_of(asked),
    )


def evidence_of(asked: Asked) -> tuple[Path, Path]:
    """Where the evidence lands, and the public key beside it."""
    evidence = asked.out / f"{asked.profile.name}{bundle.SUFFIX}"
    return evidence, bundle.key_beside(evidence)
