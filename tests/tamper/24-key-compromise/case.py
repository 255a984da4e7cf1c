"""The key was stolen on a known day."""

from datetime import timedelta

from tests.tamper.kit import FINISHED, NOW, STAMPED, Evidence, certificate_of


def _stolen(w, at, **policy):
    return Evidence(files=w.good, policy={"keys": w.keys(compromised_at=at), **policy})


def _twice(w, **changed):
    """The stolen key, and once more without a word of that."""
    stolen, build = w.keys(compromised_at=FINISHED)
    again = {**w.keys()[0], "id": "scan-2", **changed}
    return Evidence(files=w.good, policy={"keys": [stolen, again, build]})


VARIANTS = {
    "twin": lambda w: _stolen(w, STAMPED + timedelta(seconds=1)),
    "signed as it was stolen": lambda w: _stolen(w, STAMPED),
    "signed after it was stolen": lambda w: _stolen(w, FINISHED),
    "signed before, without trusted time": lambda w: _stolen(
        w, STAMPED + timedelta(days=1), require_timestamp=None
    ),
    "the policy ends later": lambda w: Evidence(
        files=w.good, policy={"expires": NOW + timedelta(seconds=1)}
    ),
    "the policy has ended": lambda w: Evidence(files=w.good, policy={"expires": NOW}),
    "listed once more, as not stolen": _twice,
    "listed once more, for another role": lambda w: _twice(w, role="verify"),
    "the stolen key is the authority's, too": lambda w: Evidence(
        files=w.good,
        policy={
            "keys": w.keys(compromised_at=STAMPED + timedelta(seconds=1)),
            "require_timestamp": {"roots": certificate_of(w.folder, w.scan).read_text()},
        },
    ),
}
