"""The key was stolen on a known day."""

from datetime import timedelta

from tests.tamper.kit import FINISHED, NOW, STAMPED, Evidence


def _stolen(w, at, **policy):
    return Evidence(files=w.good, policy={"keys": w.keys(compromised_at=at), **policy})


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
}
