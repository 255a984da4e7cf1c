"""Another key under the trusted key's name."""

import json

from tests.tamper.kit import BUNDLE, Evidence


def _forged(kit, keyid):
    files = kit.sign_payload(kit.read_statement(), signer=kit.untrusted_signer)
    bundle = json.loads(files[BUNDLE])
    bundle["verificationMaterial"]["publicKey"]["hint"] = kit.scan_signer.public.hint
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = keyid
    return Evidence(files={**files, BUNDLE: json.dumps(bundle).encode()})


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.sign_payload(kit.read_statement())),
    "hint": lambda kit: _forged(kit, ""),
    "hint and keyid": lambda kit: _forged(kit, kit.scan_signer.public.sha256),
}
