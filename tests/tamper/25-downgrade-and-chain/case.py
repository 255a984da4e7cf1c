"""A proof stripped, or the wrong one attached."""

import json
from dataclasses import replace

from hardpan.scanners.evidence.bindings import CMS, OSCAL, TEST_RESULT, TIMESTAMP
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
}
