"""The same bytes as another kind of thing."""

import json

from tests.tamper.kit import BUNDLE, Evidence, canonical_json, pae_of

_OTHER = "application/vnd.in-toto.test-result+json"


def _typed(w, kind, files=None):
    files = files or w.good
    bundle = json.loads(files[BUNDLE])
    bundle["dsseEnvelope"]["payloadType"] = kind
    return Evidence(files={**files, BUNDLE: json.dumps(bundle).encode()})


def _really(w):
    payload = canonical_json(w.statement())
    files = w.signed(payload, signature=lambda d: w.scan.sign(pae_of(_OTHER, d)))
    return _typed(w, _OTHER, files)


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "another type": lambda w: _typed(w, "application/json"),
    "another case": lambda w: _typed(w, "application/vnd.in-toto+JSON"),
    "really signed under another type": _really,
}
