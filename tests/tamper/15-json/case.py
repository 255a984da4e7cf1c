"""JSON that two parsers read differently."""

from tests.tamper.kit import BUNDLE, Evidence, canonical_json


def _bundle(w, change):
    return Evidence(files={**w.good, BUNDLE: change(w.good[BUNDLE])})


def _signed(w, change):
    return Evidence(files=w.signed(change(canonical_json(w.statement()))))


def _twice(data):
    return data[:-1] + b',"predicateType":"x"}'


def _field(text):
    return lambda data: data[:-1] + b',"more":' + text + b"}"


VARIANTS = {
    "twin": lambda w: _signed(w, lambda d: d),
    "twin: an unknown field in the predicate": lambda w: Evidence(
        files=w.changed(lambda s: s["predicate"].update(later=1))
    ),
    "an unknown field in the statement is taken": lambda w: Evidence(
        files=w.changed(lambda s: s.update(later=1))
    ),
    "bundle: a key twice": lambda w: _bundle(w, lambda d: d[:-1] + b',"mediaType":"x"}'),
    "bundle: an unknown field": lambda w: _bundle(w, lambda d: d[:-1] + b',"more":1}'),
    "bundle: something after it": lambda w: _bundle(w, lambda d: d + b"{}"),
    "bundle: a byte order mark": lambda w: _bundle(w, lambda d: b"\xef\xbb\xbf" + d),
    "signed: a key twice": lambda w: _signed(w, _twice),
    "signed: something after it": lambda w: _signed(w, lambda d: d + b"{}"),
    "signed: a byte order mark": lambda w: _signed(w, lambda d: b"\xef\xbb\xbf" + d),
    "signed: NaN": lambda w: _signed(w, _field(b"NaN")),
    "signed: not UTF-8": lambda w: _signed(w, _field(b'"\xff"')),
    "signed: half a surrogate pair": lambda w: _signed(w, _field(b'"\\ud800"')),
    "signed: a depth bomb": lambda w: _signed(w, _field(b"[" * 100_000 + b"]" * 100_000)),
    "signed: 100,000 digits": lambda w: _signed(w, _field(b"9" * 100_000)),
}
