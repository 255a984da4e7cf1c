"""A signature over something that only looks alike."""

from tests.tamper.kit import Evidence, canonical_json, pae_of, with_derived_id

_KIND = "application/vnd.in-toto+json"


def _statement(w):
    statement = w.statement()
    statement["predicate"]["note"] = "geprüft: übergroß"
    return canonical_json(with_derived_id(statement))


def _by(w, message):
    return Evidence(files=w.signed(_statement(w), signature=lambda d: w.scan.sign(message(d))))


VARIANTS = {
    "twin": lambda w: Evidence(files=w.signed(_statement(w))),
    "the bare payload": lambda w: _by(w, lambda d: d),
    "characters counted": lambda w: _by(w, lambda d: pae_of(_KIND, d, len(d.decode()))),
}
