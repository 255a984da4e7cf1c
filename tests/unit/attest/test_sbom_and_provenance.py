"""SBOM and provenance."""

import base64
import json
from pathlib import Path

from hardpan.builder.artifacts import (
    DiskImage,
    ImageFile,
    InstallMedia,
    LayerResult,
    RuleOutcome,
    UnattendedIso,
)
from hardpan.builder.attest.provenance import BuildRecord, provenance_statement
from hardpan.builder.attest.sbom import build_sbom
from hardpan.core.files import MiB, Sha256, canonical_json, sha256_bytes
from hardpan.core.media_types import VMDK
from tests.unit.attest.test_stack_sbom import stack_result

DIGEST = Sha256("a" * 64)
PACKAGES = ("bash-0:5.2.37-2.lab9.x86_64", "audit-1:4.0.2+deb-1.lab9.x86_64", "gpg-pubkey")


def test_sbom_names_every_package_by_purl() -> None:
    sbom = json.loads(build_sbom("x.qcow2", DIGEST, PACKAGES, distro="lab9"))

    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["specVersion"] == "1.6"
    assert sbom["serialNumber"].startswith("urn:uuid:")
    purls = [c["purl"] for c in sbom["components"]]
    assert "pkg:rpm/audit@4.0.2%2Bdeb-1.lab9?arch=x86_64&distro=lab9&epoch=1" in purls
    assert "pkg:rpm/gpg-pubkey?distro=lab9" in purls
    assert sbom["dependencies"][0]["dependsOn"] == sorted(purls)


def test_package_order_does_not_change_the_sbom() -> None:
    sbom = build_sbom("x", DIGEST, PACKAGES, distro="lab9")
    reversed_sbom = build_sbom("x", DIGEST, tuple(reversed(PACKAGES)), distro="lab9")

    assert sbom == reversed_sbom


def test_provenance_contains_every_digest() -> None:
    record = BuildRecord(
        profile="lab-stig",
        profile_sha256=Sha256("1" * 64),
        disk=DiskImage(
            path=Path("o/x.qcow2"), virtual_size_mib=MiB(1), sha256=Sha256("2" * 64), duration_s=1.5
        ),
        iso=UnattendedIso(
            path=Path("o/x.iso"),
            sha256=Sha256("3" * 64),
            volume_id="X",
            kickstart_sha256=Sha256("4" * 64),
            media_sha256=Sha256("5" * 64),
            has_secret=False,
        ),
        media=InstallMedia(
            path=Path("m.iso"), sha256=Sha256("5" * 64), size_bytes=1, volume_id="X", name="m"
        ),
        content_sha256=Sha256("6" * 64),
        layers=(
            LayerResult(
                layer="stig",
                changed_tasks=2,
                duration_s=1.5,
                outcomes=(RuleOutcome(rule_id="r", outcome="applied", detail=""),),
                stacks=(stack_result(),),
            ),
        ),
        accelerator="tcg",
        version="0.1.0",
        started="2026-11-21T00:00:00Z",
        finished="2026-11-21T00:10:00Z",
        converted=(
            ImageFile(
                format="vmdk",
                path=Path("o/x.vmdk"),
                sha256="7" * 64,
                media_type=VMDK,
                virtual_bytes=1,
                file_bytes=1,
                allocated_bytes=1,
            ),
        ),
        lock_sha256="8" * 64,
        locked_files=(("repository:BaseOS", "9" * 64), ("model:m/weights", "0" * 64)),
    )

    provenance = provenance_statement(record)

    text = canonical_json(provenance).decode()
    assert provenance["predicateType"] == "https://slsa.dev/provenance/v1"
    assert provenance["subject"] == [
        {"name": "x.qcow2", "digest": {"sha256": "2" * 64}, "mediaType": "application/x-qemu-disk"},
        {"name": "x.vmdk", "digest": {"sha256": "7" * 64}, "mediaType": "application/x-vmdk-disk"},
        {
            "name": "x.iso",
            "digest": {"sha256": "3" * 64},
            "mediaType": "application/x-iso9660-image",
        },
    ]
    missing = [digit for digit in "0123456789" if digit * 64 not in text]
    assert missing == []
    assert '"name":"lab-stig.lock.json"' in text
    assert '"name":"repository:BaseOS"' in text
    assert '"applied":1' in text
    predicate = json.loads(text)["predicate"]
    (audit,) = predicate["runDetails"]["byproducts"]
    content = base64.b64decode(audit["content"])
    assert (audit["name"], audit["mediaType"]) == ("wheel-audit:serving", "application/json")
    assert audit["digest"] == {"sha256": sha256_bytes(content)}
    assert audit["annotations"] == {"high": 1, "medium": 0, "low": 0}
    assert [finding["kind"] for finding in json.loads(content)] == ["bundled_crypto"]


def test_sbom_dependencies_refer_to_existing_components() -> None:
    sbom = json.loads(build_sbom("x.qcow2", DIGEST, (*PACKAGES, PACKAGES[0]), distro="lab9"))

    refs = [c["bom-ref"] for c in sbom["components"]]
    assert len(set(refs)) == len(refs) == 3
    assert sbom["dependencies"] == [{"ref": "image", "dependsOn": refs}]
    image = sbom["metadata"]["component"]
    assert (image["bom-ref"], image["type"], image["name"]) == (
        *("image", "operating-system", "x.qcow2"),
    )
    assert [(c["type"], c["name"]) for c in sbom["components"]] == [
        *(("library", "audit"), ("library", "bash"), ("library", "gpg-pubkey")),
    ]
