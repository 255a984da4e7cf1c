"""Software bill of materials of an image, CycloneDX 1.6 (ECMA-424).

The components are the packages of the rpm database and the wheels in the Python stacks.
"""

import uuid
from collections.abc import Sequence

from packageurl import PackageURL

from hardpan.builder.artifacts import StackResult, WheelRecord
from hardpan.core.files import Sha256, canonical_json
from hardpan.core.nevra import parse_nevra

_NAMESPACE = uuid.UUID("6f1c3a7e-5f0d-5c0e-9a56-6a1f3f6f2b11")


def build_sbom(
    image: str,
    sha256: Sha256,
    packages: Sequence[str],
    *,
    distro: str,
    stacks: Sequence[StackResult] = (),
) -> bytes:
    """Return the SBOM of the image file ``image``; the same inputs give the same bytes.

    ``packages`` are NEVRAs, ``distro`` is the purl qualifier, e.g. ``rocky-9``. The wheels of
    ``stacks`` have no dependencies here; the package of their stack depends on them.
    """
    dependencies = {_rpm_purl(p, distro): _wheel_references(p, stacks) for p in set(packages)}
    return canonical_json(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, sha256)}",
            "version": 1,
            "metadata": {
                "component": {
                    "bom-ref": "image",
                    "type": "operating-system",
                    "name": image,
                    "version": sha256[:12],
                    "hashes": [{"alg": "SHA-256", "content": sha256}],
                }
            },
            "components": [
                *(_rpm_component(p, distro) for p in sorted(set(packages))),
                *(_wheel_component(s, wheel) for s in stacks for wheel in s.wheels),
            ],
            "dependencies": [
                {"ref": "image", "dependsOn": sorted(dependencies)},
                *(
                    {"ref": p, "dependsOn": dependencies[p]}
                    for p in sorted(dependencies)
                    if dependencies[p]
                ),
            ],
        }
    )


def _rpm_component(nevra: str, distro: str) -> dict[str, object]:
    package = parse_nevra(nevra)
    purl = _rpm_purl(nevra, distro)
    component: dict[str, object] = {"type": "library", "bom-ref": purl, "purl": purl}
    if package is None:
        return {**component, "name": nevra}
    return {**component, "name": package.name, "version": package.evr}


def _wheel_references(nevra: str, stacks: Sequence[StackResult]) -> list[str]:
    package = parse_nevra(nevra)
    name = package.name if package else nevra
    return sorted(
        _wheel_reference(s, wheel)
        for s in stacks
        if name == f"hardpan-ai-{s.name}"
        for wheel in s.wheels
    )


def _wheel_component(stack: StackResult, wheel: WheelRecord) -> dict[str, object]:
    """Return the component of a wheel; a wheel in two stacks is two components."""
    values = {
        "hardpan:stack": stack.name,
        "hardpan:wheel": wheel.file,
        "hardpan:source:sha256": wheel.source_sha256,
    }
    properties = [{"name": k, "value": v} for k, v in values.items() if v]
    properties += [{"name": "hardpan:bundled-crypto", "value": c} for c in wheel.bundled_crypto]
    return {
        "type": "library",
        "bom-ref": _wheel_reference(stack, wheel),
        "name": wheel.name,
        "version": wheel.version,
        "purl": _pypi_purl(wheel),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": [{"license": {"name": wheel.licence}}],
        "properties": properties,
    }


def _wheel_reference(stack: StackResult, wheel: WheelRecord) -> str:
    return f"stack:{stack.name}/{_pypi_purl(wheel)}"


def _pypi_purl(wheel: WheelRecord) -> str:
    """Return the package URL of a wheel, type pypi (purl-spec)."""
    return PackageURL(type="pypi", name=wheel.name, version=wheel.version).to_string()


def _rpm_purl(nevra: str, distro: str) -> str:
    """Return the package URL of an RPM, type rpm (purl-spec)."""
    package = parse_nevra(nevra)
    if package is None:
        return PackageURL(type="rpm", name=nevra, qualifiers={"distro": distro}).to_string()
    qualifiers = {"arch": package.arch, "distro": distro}
    if package.epoch is not None:
        qualifiers["epoch"] = package.epoch
    return PackageURL(
        type="rpm", name=package.name, version=package.version_release, qualifiers=qualifiers
    ).to_string()
