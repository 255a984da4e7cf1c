"""The same bytes with another payload type."""

import json

from tests.tamper.kit import BUNDLE, Evidence, build_pae, canonical_json

_OTHER = "application/vnd.in-toto.test-result+json"


def _typed(kit, kind, files=None):
    files = files or kit.valid_files
    bundle = json.loads(files[BUNDLE])
    bundle["dsseEnvelope"]["payloadType"] = kind
    return Evidence(files={**files, BUNDLE: json.dumps(bundle).encode()})


def _really(kit):
    payload = canonical_json(kit.read_statement())
    files = kit.sign_payload(
        payload, signature=lambda d: kit.scan_signer.sign(build_pae(_OTHER, d))
    )
    return _typed(kit, _OTHER, files)


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "another type": lambda kit: _typed(kit, "application/json"),
    "another case": lambda kit: _typed(kit, "application/vnd.in-toto+JSON"),
    "really signed under another type": _really,
}
