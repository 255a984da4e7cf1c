"""A signature removed, or a wrong one attached."""

import json
from dataclasses import replace

from hardpan.scanners.evidence.file_names import CMS, OSCAL, TEST_RESULT, TIMESTAMP
from hardpan.signing import sign
from tests.tamper.kit import BUNDLE, Evidence, without_files
from tests.unit.evidence import samples


def _without_token(kit):
    files = kit.sign_payload(kit.read_statement())
    bundle = json.loads(files[BUNDLE])
    del bundle["verificationMaterial"]["timestampVerificationData"]
    return Evidence(files={**without_files(files, TIMESTAMP), BUNDLE: json.dumps(bundle).encode()})


def _without_promise(kit):
    """Sign the scan without a timestamp: only the policy can require one."""
    return Evidence(files=kit.sign_scan(stamp=None))


def _image(kit, ref):
    return Evidence(files=kit.sign_scan(image=ref))


_QCOW2, _ISO = "application/x-qemu-disk", "application/x-iso9660-image"


def _built(name, sha256, media_type=""):
    described = {"mediaType": media_type} if media_type else {}
    return {"name": name, "digest": {"sha256": sha256}, **described}


def _claims(kit, sha256, *subjects, name="lab.qcow2", **more):
    """Sign a statement whose image is ``sha256``, with a provenance of ``subjects``."""
    disk = _built("lab.qcow2", samples.SHA, _QCOW2)
    ref = samples.image(kit.build_signer, subject=[disk, *subjects], **more)
    return _image(kit, replace(ref, sha256=sha256, name=name))


_OTHER = "ab" * 32


def _promises(kit, *names):
    return Evidence(
        files=kit.resign_changed(lambda s: s["predicate"].update(companionFiles=list(names)))
    )


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.sign_scan()),
    "the timestamp stripped": _without_token,
    "no timestamp": _without_promise,
    "no timestamp, none required": lambda kit: Evidence(
        files=kit.sign_scan(stamp=None), policy={"require_timestamp": None}
    ),
    "the timestamp's copy stripped": lambda kit: Evidence(
        files=without_files(kit.valid_files, TIMESTAMP)
    ),
    "the OSCAL statement stripped": lambda kit: Evidence(
        files=without_files(kit.valid_files, OSCAL)
    ),
    "the CMS signature stripped": lambda kit: Evidence(files=without_files(kit.valid_files, CMS)),
    "never with CMS, and the policy wants it": lambda kit: Evidence(
        files=kit.sign_scan(certificate=False), policy={"require_cms": {"roots": kit.tsa.pem}}
    ),
    "timestamp that is not expected": lambda kit: _promises(kit, TEST_RESULT, OSCAL, CMS),
    "companion file that is not allowed": lambda kit: _promises(
        kit, TEST_RESULT, OSCAL, CMS, TIMESTAMP, "report.html"
    ),
    "the image is not in the provenance": lambda kit: _image(
        kit, samples.image(kit.build_signer, sha256="0" * 64)
    ),
    "provenance by a scan key": lambda kit: _image(kit, samples.image(kit.scan_signer)),
    "another provenance attached": lambda kit: _image(
        kit,
        replace(samples.image(kit.build_signer), provenance=sign(b"{}", kit.build_signer).bundle),
    ),
    "no provenance, and the policy wants it": lambda kit: Evidence(
        files=kit.sign_scan(image=None), policy={"image": {"sha256": ["0" * 64]}}
    ),
    "build key was compromised": lambda kit: Evidence(
        files=kit.valid_files,
        policy={
            "keys": [
                kit.policy_keys()[0],
                {**kit.policy_keys()[1], "compromised_at": "2026-11-02T00:00:00Z"},
            ]
        },
    ),
    "control: a raw image beside it": lambda kit: _claims(
        kit, _OTHER, _built("lab.raw", _OTHER, "application/x-raw-disk-image"), name="lab.raw"
    ),
    "the SBOM's digest for the image": lambda kit: _claims(
        kit, _OTHER, _built("sbom.cdx.json", _OTHER)
    ),
    "the ISO's digest for the image": lambda kit: _claims(kit, _OTHER, _built("lab.iso", _OTHER)),
    "the ISO under its own name": lambda kit: _claims(
        kit, _OTHER, _built("lab.iso", _OTHER, _ISO), name="lab.iso"
    ),
    "the ISO with a disk's media type": lambda kit: _claims(
        kit, _OTHER, _built("lab.iso", _OTHER, _QCOW2)
    ),
    "the kickstart's digest for the image": lambda kit: _claims(
        kit,
        _OTHER,
        predicate={"buildDefinition": {"resolvedDependencies": [_built("kickstart", _OTHER)]}},
    ),
    "the digest is another algorithm's": lambda kit: _claims(
        kit, _OTHER, {"name": "more.qcow2", "digest": {"sha256": "0" * 64, "sha3_256": _OTHER}}
    ),
    "the image's name with another digest": lambda kit: _claims(
        kit, _OTHER, _built("other.qcow2", _OTHER)
    ),
    "two subjects of the image's name": lambda kit: _claims(
        kit, samples.SHA, _built("lab.qcow2", _OTHER)
    ),
    "a raw image that is called a qcow2": lambda kit: _claims(
        kit, _OTHER, _built("lab.raw", _OTHER), name="new.qcow2"
    ),
}
