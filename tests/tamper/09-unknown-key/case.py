"""Another key that borrows the trusted key's name."""

import json

from tests.tamper.kit import BUNDLE, Evidence


def _forged(w, keyid):
    files = w.signed(w.statement(), signer=w.evil)
    bundle = json.loads(files[BUNDLE])
    bundle["verificationMaterial"]["publicKey"]["hint"] = w.scan.public.hint
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = keyid
    return Evidence(files={**files, BUNDLE: json.dumps(bundle).encode()})


VARIANTS = {
    "twin": lambda w: Evidence(files=w.signed(w.statement())),
    "hint": lambda w: _forged(w, ""),
    "hint and keyid": lambda w: _forged(w, w.scan.public.sha256),
}
