"""A listed file left out."""

from tests.tamper.kit import Evidence, drop

VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "a listed file": lambda w: Evidence(files=drop(w.good, "arf-2.xml")),
    "the second statement": lambda w: Evidence(
        files=drop(w.good, "evidence.test-result.sigstore.json")
    ),
    "the copy of the signature": lambda w: Evidence(files=drop(w.good, "statement.sig")),
    "the bundle": lambda w: Evidence(files=drop(w.good, "evidence.sigstore.json")),
}
