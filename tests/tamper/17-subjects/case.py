"""The list of files, bent."""

from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.statement.predicate_extensions import OSCAL
from tests.tamper.kit import Evidence


def _first(w, **fields):
    return Evidence(files=w.changed(lambda s: s["subject"][0].update(fields)))


def _digest(w, **digests):
    return _first(w, digest=digests)


def _more(w, **fields):
    def add(s):
        s["subject"].append({**s["subject"][0], **fields})

    return Evidence(files=w.changed(add))


def _attached(w):
    """Listed, not promised: no check of its own would look at it."""
    odd = b"anything"

    def change(s):
        s["predicate"]["siblings"].remove(OSCAL)
        s["subject"].append({"name": OSCAL, "digest": {"sha256": sha256_bytes(odd)}})

    return Evidence(files={**w.changed(change), OSCAL: odd})


VARIANTS = {
    "twin": lambda w: Evidence(files=w.changed(lambda s: None)),
    "none": lambda w: Evidence(files=w.changed(lambda s: s.update(subject=[]))),
    "no digest": _digest,
    "only md5": lambda w: _digest(w, md5="0" * 32),
    "only sha1": lambda w: _digest(w, sha1="0" * 40),
    "a short digest": lambda w: _digest(w, sha256="ab" * 31),
    "upper case": lambda w: Evidence(
        files=w.changed(
            lambda s: s["subject"][0]["digest"].update(
                sha256=s["subject"][0]["digest"]["sha256"].upper()
            )
        )
    ),
    "a name with two digests": lambda w: _more(w, digest={"sha256": "0" * 64}),
    "a name twice": _more,
    "a name in another case": lambda w: _more(w, name="ARF-1.XML"),
    "the OSCAL statement as a mere attachment": _attached,
    "no name": lambda w: _first(w, name=""),
}
