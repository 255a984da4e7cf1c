"""Base64 that two parsers decode to different bytes."""

import json

from tests.tamper.kit import Evidence, encode_base64


def _payload(kit, change):
    text = encode_base64(kit.valid_files["statement.json"])
    return Evidence(
        files=kit.with_changed_bundle(lambda b: b["dsseEnvelope"].update(payload=change(text)))
    )


def _padded(kit):
    """Sign a statement whose base64 ends in padding, so that it has unused bits."""
    statement = kit.read_statement()
    for note in ("", "x", "xx"):
        statement["predicate"]["note"] = note
        files = kit.sign_payload(statement)
        if encode_base64(files["statement.json"]).endswith("=="):
            return files, encode_base64(files["statement.json"])
    raise AssertionError("one of three lengths ends in ==")


def _with(kit, change):
    files, text = _padded(kit)
    bundle = json.loads(files["evidence.sigstore.json"])
    bundle["dsseEnvelope"]["payload"] = change(text)
    return Evidence(files={**files, "evidence.sigstore.json": json.dumps(bundle).encode()})


def _bits(text):
    last = text[-3]
    return text[:-3] + chr(ord(last) + 1) + "=="


VARIANTS = {
    "control": lambda kit: _with(kit, lambda t: t),
    "url-safe is taken": lambda kit: _with(kit, lambda t: t.replace("+", "-").replace("/", "_")),
    "no padding is taken": lambda kit: _with(kit, lambda t: t.rstrip("=")),
    "bits that mean nothing": lambda kit: _with(kit, _bits),
    # Without padding at its end cosign accepts it, so the case must not depend on the length.
    "a line end": lambda kit: _with(kit, lambda t: t[:64] + "\n" + t[64:]),
    "a mix of alphabets": lambda kit: _payload(kit, lambda t: "-+" + t[2:]),
    "another character": lambda kit: _payload(kit, lambda t: "!" + t[1:]),
    "too much padding": lambda kit: _with(kit, lambda t: t + "="),
}
