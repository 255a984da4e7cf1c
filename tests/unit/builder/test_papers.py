"""SBOM and provenance."""

import json
from pathlib import Path

from hardpan.builder.provenance import Story, statement
from hardpan.builder.receipts import Disk, Iso, LayerReceipt, Media, RuleOutcome
from hardpan.builder.sbom import cyclonedx
from hardpan.files import MiB, Sha256, canonical_json

DIGEST = Sha256("a" * 64)
PACKAGES = ("bash-0:5.2.37-2.lab9.x86_64", "audit-1:4.0.2+deb-1.lab9.x86_64", "gpg-pubkey")


def test_the_sbom_names_every_package_by_its_purl() -> None:
    made = json.loads(cyclonedx("x.qcow2", DIGEST, PACKAGES, distro="lab9"))

    assert made["bomFormat"] == "CycloneDX"
    assert made["specVersion"] == "1.6"
    assert made["serialNumber"].startswith("urn:uuid:")
    purls = [c["purl"] for c in made["components"]]
    assert "pkg:rpm/audit@4.0.2%2Bdeb-1.lab9?arch=x86_64&distro=lab9&epoch=1" in purls
    assert "pkg:rpm/gpg-pubkey?distro=lab9" in purls
    assert made["dependencies"][0]["dependsOn"] == sorted(purls)


def test_the_same_packages_in_any_order_give_the_same_sbom() -> None:
    one = cyclonedx("x", DIGEST, PACKAGES, distro="lab9")
    two = cyclonedx("x", DIGEST, tuple(reversed(PACKAGES)), distro="lab9")

    assert one == two


def test_the_provenance_binds_image_iso_profile_media_kickstart_and_content() -> None:
    story = Story(
        profile="lab-stig",
        profile_sha256=Sha256("1" * 64),
        disk=Disk(
            path=Path("o/x.qcow2"), virtual_size_mib=MiB(1), sha256=Sha256("2" * 64), took_s=1.5
        ),
        iso=Iso(
            path=Path("o/x.iso"),
            sha256=Sha256("3" * 64),
            volume_id="X",
            kickstart_sha256=Sha256("4" * 64),
            media_sha256=Sha256("5" * 64),
            secret=False,
        ),
        media=Media(path=Path("m.iso"), sha256=Sha256("5" * 64), size=1, volume_id="X", name="m"),
        content_sha256=Sha256("6" * 64),
        layers=(
            LayerReceipt(
                layer="stig",
                changed=2,
                took_s=1.5,
                outcomes=(RuleOutcome(rule_id="r", outcome="applied", detail=""),),
            ),
        ),
        accelerator="tcg",
        version="0.1.0",
        started="2026-11-21T00:00:00Z",
        finished="2026-11-21T00:10:00Z",
    )

    made = statement(story)

    text = canonical_json(made).decode()
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert made["subject"] == [
        {"name": "x.qcow2", "digest": {"sha256": "2" * 64}, "mediaType": "application/x-qemu-disk"},
        {
            "name": "x.iso",
            "digest": {"sha256": "3" * 64},
            "mediaType": "application/x-iso9660-image",
        },
    ]
    for n in "123456":
        assert n * 64 in text
    assert '"applied":1' in text


def test_the_sbom_refers_only_to_components_it_has() -> None:
    made = json.loads(cyclonedx("x.qcow2", DIGEST, (*PACKAGES, PACKAGES[0]), distro="lab9"))

    refs = [c["bom-ref"] for c in made["components"]]
    assert len(set(refs)) == len(refs) == 3
    assert made["dependencies"] == [{"ref": "image", "dependsOn": refs}]
    image = made["metadata"]["component"]
    assert (image["bom-ref"], image["type"], image["name"]) == (
        *("image", "operating-system", "x.qcow2"),
    )
    assert [(c["type"], c["name"]) for c in made["components"]] == [
        *(("library", "audit"), ("library", "bash"), ("library", "gpg-pubkey")),
    ]
