"""A proof stripped, or the wrong one attached."""

import json
from dataclasses import replace

from hardpan.scanners.evidence.statement.predicate_extensions import (
    CMS,
    OSCAL,
    TEST_RESULT,
    TIMESTAMP,
)
from hardpan.signing import sign
from tests.tamper.kit import BUNDLE, Evidence, drop
from tests.unit.evidence import samples


def _without_token(w):
    files = w.signed(w.statement())
    bundle = json.loads(files[BUNDLE])
    del bundle["verificationMaterial"]["timestampVerificationData"]
    return Evidence(files={**drop(files, TIMESTAMP), BUNDLE: json.dumps(bundle).encode()})


def _without_promise(w):
    """The whole statement made without a timestamp: only the policy can want one."""
    return Evidence(files=w.made(stamp=None))


def _image(w, ref):
    return Evidence(files=w.made(image=ref))


_QCOW2, _ISO = "application/x-qemu-disk", "application/x-iso9660-image"


def _built(name, sha256, media_type=""):
    described = {"mediaType": media_type} if media_type else {}
    return {"name": name, "digest": {"sha256": sha256}, **described}


def _claims(w, sha256, *subjects, name="lab.qcow2", **more):
    """A statement that calls ``sha256`` its image; the build key vouches for ``subjects``."""
    disk = _built("lab.qcow2", samples.SHA, _QCOW2)
    ref = samples.image(w.build, subject=[disk, *subjects], **more)
    return _image(w, replace(ref, sha256=sha256, name=name))


_OTHER = "ab" * 32


def _promises(w, *names):
    return Evidence(files=w.changed(lambda s: s["predicate"].update(siblings=list(names))))


VARIANTS = {
    "twin": lambda w: Evidence(files=w.made()),
    "the timestamp stripped": _without_token,
    "never stamped": _without_promise,
    "never stamped, and nobody asks": lambda w: Evidence(
        files=w.made(stamp=None), policy={"require_timestamp": None}
    ),
    "the timestamp's copy stripped": lambda w: Evidence(files=drop(w.good, TIMESTAMP)),
    "the OSCAL statement stripped": lambda w: Evidence(files=drop(w.good, OSCAL)),
    "the CMS signature stripped": lambda w: Evidence(files=drop(w.good, CMS)),
    "never with CMS, and the policy wants it": lambda w: Evidence(
        files=w.made(certificate=False), policy={"require_cms": {"roots": w.tsa.pem}}
    ),
    "a timestamp that was not promised": lambda w: _promises(w, TEST_RESULT, OSCAL, CMS),
    "a sibling that may not be one": lambda w: _promises(
        w, TEST_RESULT, OSCAL, CMS, TIMESTAMP, "report.html"
    ),
    "the image is not in the provenance": lambda w: _image(
        w, samples.image(w.build, sha256="0" * 64)
    ),
    "provenance by a scan key": lambda w: _image(w, samples.image(w.scan)),
    "another provenance attached": lambda w: _image(
        w, replace(samples.image(w.build), provenance=sign(b"{}", w.build).bundle)
    ),
    "no provenance, and the policy wants it": lambda w: Evidence(
        files=w.made(image=None), policy={"image": {"sha256": ["0" * 64]}}
    ),
    "the build key was stolen": lambda w: Evidence(
        files=w.good,
        policy={"keys": [w.keys()[0], {**w.keys()[1], "compromised_at": "2026-11-02T00:00:00Z"}]},
    ),
    "twin: a raw image beside it": lambda w: _claims(
        w, _OTHER, _built("lab.raw", _OTHER, "application/x-raw-disk-image"), name="lab.raw"
    ),
    "the SBOM's digest for the image": lambda w: _claims(
        w, _OTHER, _built("sbom.cdx.json", _OTHER)
    ),
    "the ISO's digest for the image": lambda w: _claims(w, _OTHER, _built("lab.iso", _OTHER)),
    "the ISO under its own name": lambda w: _claims(
        w, _OTHER, _built("lab.iso", _OTHER, _ISO), name="lab.iso"
    ),
    "the ISO with a disk's media type": lambda w: _claims(
        w, _OTHER, _built("lab.iso", _OTHER, _QCOW2)
    ),
    "the kickstart's digest for the image": lambda w: _claims(
        w,
        _OTHER,
        predicate={"buildDefinition": {"resolvedDependencies": [_built("kickstart", _OTHER)]}},
    ),
    "the digest is another algorithm's": lambda w: _claims(
        w, _OTHER, {"name": "more.qcow2", "digest": {"sha256": "0" * 64, "sha3_256": _OTHER}}
    ),
    "the image's name with another digest": lambda w: _claims(
        w, _OTHER, _built("other.qcow2", _OTHER)
    ),
    "two subjects of the image's name": lambda w: _claims(
        w, samples.SHA, _built("lab.qcow2", _OTHER)
    ),
    "a raw image that is called a qcow2": lambda w: _claims(
        w, _OTHER, _built("lab.raw", _OTHER), name="new.qcow2"
    ),
}
