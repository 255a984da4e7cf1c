"""Software bill of materials of an image, SPDX 2.3 (ISO/IEC 5962 is its version 2.2.1).

It has the same components as the CycloneDX document (``sbom.py``).
"""

import uuid
from collections.abc import Iterator, Sequence

from hardpan.builder.artifacts import StackResult, WheelRecord
from hardpan.builder.attest.components import package_cpe, pypi_purl, rpm_purl, system_cpe
from hardpan.core.files import Sha256, canonical_json, sha256_bytes
from hardpan.core.identifiers import SPDX_NAMESPACE
from hardpan.core.nevra import parse_nevra

_UUID_NAMESPACE = uuid.UUID("0b7d3c52-0d55-5d6f-9a0e-3f0f6a1c9d21")
_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE = "SPDXRef-Image"
_NO_ASSERTION = "NOASSERTION"


def build_spdx(
    image: str,
    sha256: Sha256,
    packages: Sequence[str],
    *,
    release: str,
    created: str,
    version: str,
    stacks: Sequence[StackResult] = (),
) -> bytes:
    """Return the SPDX document of the image file ``image``; equal inputs give equal bytes.

    ``packages`` are NEVRAs, ``created`` is RFC 3339 UTC, ``version`` is that of hardpan.
    """
    rpms = [(_spdx_id("rpm", nevra), nevra) for nevra in sorted(set(packages))]
    wheels = [
        (_spdx_id("wheel", f"{stack.name}/{wheel.file}"), stack, wheel)
        for stack in stacks
        for wheel in stack.wheels
    ]
    return canonical_json(
        {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": _DOCUMENT,
            "name": image,
            "documentNamespace": f"{SPDX_NAMESPACE}/{uuid.uuid5(_UUID_NAMESPACE, sha256)}",
            "creationInfo": {"created": created, "creators": [f"Tool: hardpan-{version}"]},
            "packages": [
                _image_package(image, sha256, release),
                *(_rpm_package(spdx_id, nevra, release) for spdx_id, nevra in rpms),
                *(_wheel_package(spdx_id, stack, wheel) for spdx_id, stack, wheel in wheels),
            ],
            "relationships": [
                _relate(_DOCUMENT, "DESCRIBES", _IMAGE),
                *(_relate(_IMAGE, "CONTAINS", spdx_id) for spdx_id, _ in rpms),
                *(_relate(_IMAGE, "CONTAINS", spdx_id) for spdx_id, _, _ in wheels),
            ],
        }
    )


def _image_package(image: str, sha256: Sha256, release: str) -> dict[str, object]:
    cpe = system_cpe(release)
    return {
        "SPDXID": _IMAGE,
        "name": image,
        "versionInfo": sha256[:12],
        "primaryPackagePurpose": "OPERATING_SYSTEM",
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        "externalRefs": [_reference("SECURITY", "cpe23Type", cpe)] if cpe else [],
        **_unknown_fields(),
    }


def _rpm_package(spdx_id: str, nevra: str, release: str) -> dict[str, object]:
    package = parse_nevra(nevra)
    references = [_reference("PACKAGE-MANAGER", "purl", rpm_purl(nevra, release))]
    described: dict[str, object] = {"SPDXID": spdx_id, "name": nevra}
    if package is not None:
        cpe = package_cpe(package.name, package.version)
        references.append(_reference("SECURITY", "cpe23Type", cpe))
        described |= {"name": package.name, "versionInfo": package.evr}
    return {**described, "externalRefs": references, **_unknown_fields()}


def _wheel_package(spdx_id: str, stack: StackResult, wheel: WheelRecord) -> dict[str, object]:
    return {
        "SPDXID": spdx_id,
        "name": wheel.name,
        "versionInfo": wheel.version,
        "packageFileName": wheel.file,
        "checksums": [{"algorithm": "SHA256", "checksumValue": wheel.sha256}],
        "comment": f"in the Python stack {stack.name}",
        "externalRefs": list(_wheel_references(wheel)),
        **_unknown_fields(),
        # The text of the wheel's metadata is often no SPDX expression.
        "licenseComments": wheel.licence,
    }


def _wheel_references(wheel: WheelRecord) -> Iterator[dict[str, str]]:
    yield _reference("PACKAGE-MANAGER", "purl", pypi_purl(wheel))
    yield _reference("SECURITY", "cpe23Type", package_cpe(wheel.name, wheel.version))


def _unknown_fields() -> dict[str, object]:
    """Return the required fields about which hardpan asserts nothing."""
    return {
        "copyrightText": _NO_ASSERTION,
        "downloadLocation": _NO_ASSERTION,
        "filesAnalyzed": False,
        "licenseConcluded": _NO_ASSERTION,
        "licenseDeclared": _NO_ASSERTION,
    }


def _reference(category: str, kind: str, locator: str) -> dict[str, str]:
    return {
        "referenceCategory": category,
        "referenceType": kind,
        "referenceLocator": locator,
    }


def _relate(element: str, kind: str, related: str) -> dict[str, str]:
    return {
        "spdxElementId": element,
        "relationshipType": kind,
        "relatedSpdxElement": related,
    }


def _spdx_id(kind: str, name: str) -> str:
    """Return an identifier; names may have characters that are not allowed in one."""
    return f"SPDXRef-{kind}-{sha256_bytes(name.encode())[:16]}"
