"""The signature damaged, missing, doubled or in another form."""

import json
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.tamper.kit import BUNDLE, Evidence, encode_base64

_LONGEST = 72  # maximum bytes of a P-256 signature in DER; one in four has this length


def _signature(kit, sig):
    files = kit.with_changed_bundle(
        lambda b: b["dsseEnvelope"]["signatures"][0].update(sig=encode_base64(sig))
    )
    return Evidence(files={**files, "statement.sig": sig})


def _flip(kit):
    sig = kit.valid_files["statement.sig"]
    return _signature(kit, sig[:-1] + bytes([sig[-1] ^ 1]))


def _raw(kit):
    r, s = decode_dss_signature(kit.valid_files["statement.sig"])
    return _signature(kit, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _several(kit, times):
    signatures = json.loads(kit.valid_files[BUNDLE])["dsseEnvelope"]["signatures"]
    return Evidence(
        files=kit.with_changed_bundle(
            lambda b: b["dsseEnvelope"].update(signatures=signatures * times)
        )
    )


def _tail(kit):
    while len((good := kit.resign_changed(lambda _: None))["statement.sig"]) < _LONGEST:
        pass
    return _signature(replace(kit, valid_files=good), good["statement.sig"] + b"\0")


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "a bit flipped": _flip,
    "cut short": lambda kit: _signature(kit, kit.valid_files["statement.sig"][:-1]),
    "empty": lambda kit: _signature(kit, b""),
    "absent": lambda kit: _several(kit, 0),
    "two of them": lambda kit: _several(kit, 2),
    "raw instead of DER": _raw,
    "a byte behind the longest": _tail,
    "a kilobyte": lambda kit: _signature(kit, kit.valid_files["statement.sig"] * 15),
}
