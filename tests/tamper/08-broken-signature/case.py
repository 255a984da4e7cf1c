"""The signature damaged, missing, doubled or in another form."""

import json
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.tamper.kit import BUNDLE, Evidence, b64

_LONGEST = 72  # bytes of a P-256 signature in DER; one in four has them


def _signature(w, sig):
    files = w.bundled(lambda b: b["dsseEnvelope"]["signatures"][0].update(sig=b64(sig)))
    return Evidence(files={**files, "statement.sig": sig})


def _flip(w):
    sig = w.good["statement.sig"]
    return _signature(w, sig[:-1] + bytes([sig[-1] ^ 1]))


def _raw(w):
    r, s = decode_dss_signature(w.good["statement.sig"])
    return _signature(w, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _several(w, times):
    one = json.loads(w.good[BUNDLE])["dsseEnvelope"]["signatures"]
    return Evidence(files=w.bundled(lambda b: b["dsseEnvelope"].update(signatures=one * times)))


def _tail(w):
    while len((good := w.changed(lambda _: None))["statement.sig"]) < _LONGEST:
        pass
    return _signature(replace(w, good=good), good["statement.sig"] + b"\0")


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "a bit flipped": _flip,
    "cut short": lambda w: _signature(w, w.good["statement.sig"][:-1]),
    "empty": lambda w: _signature(w, b""),
    "absent": lambda w: _several(w, 0),
    "two of them": lambda w: _several(w, 2),
    "raw instead of DER": _raw,
    "a byte behind the longest": _tail,
    "a kilobyte": lambda w: _signature(w, w.good["statement.sig"] * 15),
}
