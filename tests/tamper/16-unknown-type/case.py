"""A valid signature over another type of statement."""

import base64
import json

from tests.tamper.kit import Evidence


def _media(kit, value):
    return Evidence(files=kit.with_changed_bundle(lambda b: b.update(mediaType=value)))


def _set(kit, **fields):
    return Evidence(files=kit.resign_changed(lambda s: s.update(fields)))


def _payload(bundle):
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.resign_changed(lambda s: None)),
    "bundle v0.4": lambda kit: _media(kit, "application/vnd.dev.sigstore.bundle.v0.4+json"),
    "no bundle at all": lambda kit: _media(kit, "text/plain"),
    "statement v0.1": lambda kit: _set(kit, _type="https://in-toto.io/Statement/v0.1"),
    "another predicate": lambda kit: _set(kit, predicateType="https://slsa.dev/provenance/v1"),
    "a later predicate": lambda kit: _set(
        kit, predicateType="https://hardpan.dev/attestation/compliance-scan/v2"
    ),
    "a later version of this one": lambda kit: Evidence(
        files=kit.resign_changed(lambda s: s["predicate"].update(statementVersion="2.0"))
    ),
    "the second statement as the first": lambda kit: Evidence(
        files=kit.sign_payload(_payload(kit.valid_files["evidence.test-result.sigstore.json"]))
    ),
}
