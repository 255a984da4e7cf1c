"""Base64 that two readers take for different bytes."""

import json

from tests.tamper.kit import Evidence, b64


def _payload(w, change):
    text = b64(w.good["statement.json"])
    return Evidence(files=w.bundled(lambda b: b["dsseEnvelope"].update(payload=change(text))))


def _padded(w):
    """A statement whose base64 ends in padding, so that it has unused bits."""
    statement = w.statement()
    for note in ("", "x", "xx"):
        statement["predicate"]["note"] = note
        files = w.signed(statement)
        if b64(files["statement.json"]).endswith("=="):
            return files, b64(files["statement.json"])
    raise AssertionError("one of three lengths ends in ==")


def _with(w, change):
    files, text = _padded(w)
    bundle = json.loads(files["evidence.sigstore.json"])
    bundle["dsseEnvelope"]["payload"] = change(text)
    return Evidence(files={**files, "evidence.sigstore.json": json.dumps(bundle).encode()})


def _bits(text):
    last = text[-3]
    return text[:-3] + chr(ord(last) + 1) + "=="


VARIANTS = {
    "twin": lambda w: _with(w, lambda t: t),
    "url-safe is taken": lambda w: _with(w, lambda t: t.replace("+", "-").replace("/", "_")),
    "no padding is taken": lambda w: _with(w, lambda t: t.rstrip("=")),
    "bits that mean nothing": lambda w: _with(w, _bits),
    "a line end": lambda w: _payload(w, lambda t: t[:64] + "\n" + t[64:]),
    "a mix of alphabets": lambda w: _payload(w, lambda t: "-+" + t[2:]),
    "another character": lambda w: _payload(w, lambda t: "!" + t[1:]),
    "too much padding": lambda w: _with(w, lambda t: t + "="),
}
