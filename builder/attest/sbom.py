"""Software bill of materials of an image, CycloneDX 1.6 (ECMA-424).

The components are the packages of the rpm database and the wheels in the Python stacks.
"""

import uuid
from collections.abc import Sequence

from hardpan.builder.artifacts import StackResult, WheelRecord
from hardpan.builder.attest.components import package_cpe, pypi_purl, rpm_purl, system_cpe
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
    cpe = system_cpe(distro)
    dependencies = {rpm_purl(p, distro): _wheel_references(p, stacks) for p in set(packages)}
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
                    **({"cpe": cpe} if cpe else {}),
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
    purl = rpm_purl(nevra, distro)
    component: dict[str, object] = {"type": "library", "bom-ref": purl, "purl": purl}
    if package is None:
        return {**component, "name": nevra}
    cpe = package_cpe(package.name, package.version)
    return {**component, "name": package.name, "version": package.evr, "cpe": cpe}


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
        "purl": pypi_purl(wheel),
        "cpe": package_cpe(wheel.name, wheel.version),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": [{"license": {"name": wheel.licence}}],
        "properties": properties,
    }


def _wheel_reference(stack: StackResult, wheel: WheelRecord) -> str:
    return f"stack:{stack.name}/{pypi_purl(wheel)}"
