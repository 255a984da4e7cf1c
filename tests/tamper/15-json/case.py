"""JSON that two parsers read differently."""

from tests.tamper.kit import BUNDLE, Evidence, canonical_json


def _bundle(kit, change):
    return Evidence(files={**kit.valid_files, BUNDLE: change(kit.valid_files[BUNDLE])})


def _signed(kit, change):
    return Evidence(files=kit.sign_payload(change(canonical_json(kit.read_statement()))))


def _twice(data):
    return data[:-1] + b',"predicateType":"x"}'


def _field(text):
    return lambda data: data[:-1] + b',"more":' + text + b"}"


VARIANTS = {
    "control": lambda kit: _signed(kit, lambda d: d),
    "control: an unknown field in the predicate": lambda kit: Evidence(
        files=kit.resign_changed(lambda s: s["predicate"].update(later=1))
    ),
    "an unknown field in the statement is taken": lambda kit: Evidence(
        files=kit.resign_changed(lambda s: s.update(later=1))
    ),
    "bundle: a key twice": lambda kit: _bundle(kit, lambda d: d[:-1] + b',"mediaType":"x"}'),
    "bundle: an unknown field": lambda kit: _bundle(kit, lambda d: d[:-1] + b',"more":1}'),
    "bundle: something after it": lambda kit: _bundle(kit, lambda d: d + b"{}"),
    "bundle: a byte order mark": lambda kit: _bundle(kit, lambda d: b"\xef\xbb\xbf" + d),
    "signed: a key twice": lambda kit: _signed(kit, _twice),
    "signed: something after it": lambda kit: _signed(kit, lambda d: d + b"{}"),
    "signed: a byte order mark": lambda kit: _signed(kit, lambda d: b"\xef\xbb\xbf" + d),
    "signed: NaN": lambda kit: _signed(kit, _field(b"NaN")),
    "signed: not UTF-8": lambda kit: _signed(kit, _field(b'"\xff"')),
    "signed: half a surrogate pair": lambda kit: _signed(kit, _field(b'"\\ud800"')),
    "signed: a depth bomb": lambda kit: _signed(kit, _field(b"[" * 100_000 + b"]" * 100_000)),
    "signed: 100,000 digits": lambda kit: _signed(kit, _field(b"9" * 100_000)),
}
