"""The image's software bill of materials, CycloneDX 1.6 (ECMA-424).

From its rpm database, and for the Python stacks from what the build put into their packages.
"""

import re
import uuid
from collections.abc import Sequence

from hardpan.builder.receipts import StackReceipt, WheelReceipt
from hardpan.files import Sha256, canonical_json

_NEVRA = re.compile(
    r"(?P<name>[^\s]+)-(?:(?P<epoch>\d+):)?(?P<version>[^-\s]+)-(?P<release>[^-\s]+?)"
    r"(?:\.(?P<arch>x86_64|aarch64|noarch|i686))?"
)
_NAMESPACE = uuid.UUID("6f1c3a7e-5f0d-5c0e-9a56-6a1f3f6f2b11")


def cyclonedx(
    image: str,
    sha256: Sha256,
    packages: Sequence[str],
    *,
    distro: str,
    stacks: Sequence[StackReceipt] = (),
) -> bytes:
    """The SBOM of the image file called ``image``; the same inputs give the same bytes.

    ``packages`` are NEVRAs, ``distro`` is the purl qualifier, e.g. ``rocky-9``. The wheels of
    ``stacks`` depend on nothing here and their stack's package depends on them.
    """
    needs = {_purl(p, distro): _wheels_of(p, stacks) for p in set(packages)}
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
                *(_component(p, distro) for p in sorted(set(packages))),
                *(_wheel(s, wheel) for s in stacks for wheel in s.wheels),
            ],
            "dependencies": [
                {"ref": "image", "dependsOn": sorted(needs)},
                *({"ref": p, "dependsOn": needs[p]} for p in sorted(needs) if needs[p]),
            ],
        }
    )


def _component(nevra: str, distro: str) -> dict[str, object]:
    name, version = _parts(nevra)
    purl = _purl(nevra, distro)
    made: dict[str, object] = {"type": "library", "bom-ref": purl, "name": name, "purl": purl}
    return {**made, "version": version} if version else made


def _wheels_of(nevra: str, stacks: Sequence[StackReceipt]) -> list[str]:
    name = _parts(nevra)[0]
    return sorted(
        _reference(s, wheel) for s in stacks if name == f"hardpan-ai-{s.name}" for wheel in s.wheels
    )


def _wheel(stack: StackReceipt, wheel: WheelReceipt) -> dict[str, object]:
    """A Python package inside of a stack; the same one in two stacks is two components."""
    told = {
        "hardpan:stack": stack.name,
        "hardpan:wheel": wheel.file,
        "hardpan:source:sha256": wheel.source_sha256,
    }
    properties = [{"name": k, "value": v} for k, v in told.items() if v]
    properties += [{"name": "hardpan:bundled-crypto", "value": c} for c in wheel.crypto]
    return {
        "type": "library",
        "bom-ref": _reference(stack, wheel),
        "name": wheel.name,
        "version": wheel.version,
        "purl": _pypi(wheel),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": [{"license": {"name": wheel.licence}}],
        "properties": properties,
    }


def _reference(stack: StackReceipt, wheel: WheelReceipt) -> str:
    return f"stack:{stack.name}/{_pypi(wheel)}"


def _pypi(wheel: WheelReceipt) -> str:
    """Package URL, type pypi (purl-spec)."""
    return f"pkg:pypi/{_quoted(wheel.name)}@{_quoted(wheel.version)}"


def _parts(nevra: str) -> tuple[str, str]:
    found = _NEVRA.fullmatch(nevra)
    if found is None:
        return nevra, ""
    epoch = f"{found['epoch']}:" if found["epoch"] else ""
    return found["name"], f"{epoch}{found['version']}-{found['release']}"


def _purl(nevra: str, distro: str) -> str:
    """Package URL, type rpm (purl-spec)."""
    found = _NEVRA.fullmatch(nevra)
    if found is None:
        return f"pkg:rpm/{_quoted(nevra)}?distro={distro}"
    wanted = {"arch": found["arch"], "distro": distro, "epoch": found["epoch"]}
    said = "&".join(f"{k}={v}" for k, v in wanted.items() if v)
    version = _quoted(f"{found['version']}-{found['release']}")
    return f"pkg:rpm/{_quoted(found['name'])}@{version}?{said}"


def _quoted(text: str) -> str:
    kept = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_~"
    return "".join(c if c in kept else "".join(f"%{b:02X}" for b in c.encode()) for c in text)
