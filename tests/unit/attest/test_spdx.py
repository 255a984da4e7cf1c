"""The SPDX document: valid by the official schema, with purl and CPE of every component."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from hardpan.builder.attest.components import package_cpe, system_cpe
from hardpan.builder.attest.sbom import build_sbom
from hardpan.builder.attest.spdx import build_spdx
from hardpan.core.files import Sha256
from tests.unit.attest.test_stack_sbom import stack_result

DIGEST = Sha256("a" * 64)
PACKAGES = ("bash-0:5.2.37-2.el9.x86_64", "audit-1:4.0.2+deb-1.el9.x86_64", "gpg-pubkey")
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "data" / "spdx" / "spdx-schema-2.3.json").read_text("utf-8")
)


def make_document(*, packages: tuple[str, ...] = PACKAGES, release: str = "rocky9") -> Any:
    return json.loads(
        build_spdx(
            "x.qcow2",
            DIGEST,
            packages,
            release=release,
            created="2026-11-21T04:00:00Z",
            version="0.1.0",
            stacks=[stack_result(), stack_result("vllm")],
        )
    )


def list_problems(document: Any) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(document)]


@pytest.mark.parametrize("release", ["rocky9", "rocky10", "lab9"])
def test_document_is_valid(release: str) -> None:
    assert list_problems(make_document(release=release)) == []


def test_schema_finds_an_unknown_key() -> None:
    document = make_document()
    document["packages"][0]["licence"] = "MIT"

    assert len(list_problems(document)) == 1


def test_every_component_has_purl_and_cpe() -> None:
    document = make_document()
    references = {
        package["name"]: {
            x["referenceType"]: x["referenceLocator"] for x in package["externalRefs"]
        }
        for package in document["packages"]
    }

    assert references["x.qcow2"] == {"cpe23Type": "cpe:2.3:o:rocky:rocky:9:*:*:*:*:*:*:*"}
    assert references["audit"] == {
        "purl": "pkg:rpm/audit@4.0.2%2Bdeb-1.el9?arch=x86_64&distro=rocky9&epoch=1",
        "cpe23Type": "cpe:2.3:a:*:audit:4\\.0\\.2\\+deb:*:*:*:*:*:*:*",
    }
    # A public key in the rpm database is no software.
    assert references["gpg-pubkey"] == {"purl": "pkg:rpm/gpg-pubkey?distro=rocky9"}
    assert len(document["packages"]) > len(PACKAGES) + 1


def test_image_contains_every_component() -> None:
    document = make_document()
    contained = [
        x["relatedSpdxElement"]
        for x in document["relationships"]
        if x["relationshipType"] == "CONTAINS"
    ]

    identifiers = [package["SPDXID"] for package in document["packages"]]
    assert identifiers == ["SPDXRef-Image", *contained]
    assert len(set(identifiers)) == len(identifiers)


def test_both_documents_have_the_same_components() -> None:
    cyclonedx = json.loads(
        build_sbom("x.qcow2", DIGEST, PACKAGES, distro="rocky9", stacks=[stack_result()])
    )
    spdx = json.loads(
        build_spdx(
            "x.qcow2",
            DIGEST,
            PACKAGES,
            release="rocky9",
            created="2026-11-21T04:00:00Z",
            version="0.1.0",
            stacks=[stack_result()],
        )
    )

    in_spdx = {
        (x["referenceType"].removesuffix("23Type"), x["referenceLocator"])
        for package in spdx["packages"][1:]
        for x in package["externalRefs"]
    }
    in_cyclonedx = {
        (kind, component[kind])
        for component in cyclonedx["components"]
        for kind in ("purl", "cpe")
        if kind in component
    }
    assert in_spdx == in_cyclonedx
    assert cyclonedx["metadata"]["component"]["cpe"] == system_cpe("rocky9")


def test_package_order_does_not_change_the_document() -> None:
    assert make_document(packages=tuple(reversed(PACKAGES))) == make_document()


def test_special_characters_of_a_cpe_are_escaped() -> None:
    assert package_cpe("libstdc++", "1.0~rc1") == (
        "cpe:2.3:a:*:libstdc\\+\\+:1\\.0\\~rc1:*:*:*:*:*:*:*"
    )
    assert system_cpe("lab9") == ""
