"""Validly signed, but not what it should be."""

import base64
import json

from tests.tamper.kit import Evidence


def _media(w, value):
    return Evidence(files=w.bundled(lambda b: b.update(mediaType=value)))


def _set(w, **fields):
    return Evidence(files=w.changed(lambda s: s.update(fields)))


def _payload(bundle):
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])


VARIANTS = {
    "twin": lambda w: Evidence(files=w.changed(lambda s: None)),
    "bundle v0.4": lambda w: _media(w, "application/vnd.dev.sigstore.bundle.v0.4+json"),
    "no bundle at all": lambda w: _media(w, "text/plain"),
    "statement v0.1": lambda w: _set(w, _type="https://in-toto.io/Statement/v0.1"),
    "another predicate": lambda w: _set(w, predicateType="https://slsa.dev/provenance/v1"),
    "a later predicate": lambda w: _set(
        w, predicateType="https://hardpan.dev/attestation/compliance-scan/v2"
    ),
    "a later version of this one": lambda w: Evidence(
        files=w.changed(lambda s: s["predicate"].update(statementVersion="2.0"))
    ),
    "the second statement as the first": lambda w: Evidence(
        files=w.signed(_payload(w.good["evidence.test-result.sigstore.json"]))
    ),
}
