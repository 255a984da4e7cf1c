"""An old good report once more."""

from datetime import timedelta

from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from tests.tamper.kit import BEFORE, FINISHED, Evidence


def _after(w, sequence, digest=BEFORE):
    chain = ChainLink(sequence=sequence, previous_statement_sha256=digest)
    return Evidence(files=w.made(chain=chain))


VARIANTS = {
    "twin": lambda w: _after(w, 2),
    "the last moment of its age": lambda w: Evidence(
        files=w.good, now=FINISHED + timedelta(hours=24)
    ),
    "one second too old": lambda w: Evidence(
        files=w.good, now=FINISHED + timedelta(hours=24, seconds=1)
    ),
    "another nonce": lambda w: Evidence(files=w.made(nonce="m" * 16)),
    "no nonce": lambda w: Evidence(files=w.made(nonce="")),
    "the same nonce again": lambda w: Evidence(files=w.good),
    "an earlier statement": lambda w: _after(w, 1, None),
    "a gap": lambda w: _after(w, 3),
    "follows on another one": lambda w: _after(w, 2, "0" * 64),
    "no place at all": lambda w: Evidence(
        files=w.changed(lambda s: s["predicate"].update(chain=None))
    ),
}
