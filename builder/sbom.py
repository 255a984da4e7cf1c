"""The image's software bill of materials, CycloneDX 1.6 (ECMA-424), from its rpm database."""

import re
import uuid
from collections.abc import Sequence

from hardpan.files import Sha256, canonical_json

_NEVRA = re.compile(
    r"(?P<name>[^\s]+)-(?:(?P<epoch>\d+):)?(?P<version>[^-\s]+)-(?P<release>[^-\s]+?)"
    r"(?:\.(?P<arch>x86_64|aarch64|noarch|i686))?"
)
_NAMESPACE = uuid.UUID("6f1c3a7e-5f0d-5c0e-9a56-6a1f3f6f2b11")


def cyclonedx(image: str, sha256: Sha256, packages: Sequence[str], *, distro: str) -> bytes:
    """The SBOM of the image file called ``image``; the same inputs give the same bytes.

    ``packages`` are NEVRAs, ``distro`` is the purl qualifier, e.g. ``rocky-9``.
    """
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
            "components": [_component(p, distro) for p in sorted(set(packages))],
            "dependencies": [
                {"ref": "image", "dependsOn": sorted(_purl(p, distro) for p in set(packages))}
            ],
        }
    )


def _component(nevra: str, distro: str) -> dict[str, object]:
    name, version = _parts(nevra)
    purl = _purl(nevra, distro)
    made: dict[str, object] = {"type": "library", "bom-ref": purl, "name": name, "purl": purl}
    return {**made, "version": version} if version else made


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
