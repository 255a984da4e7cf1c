"""Times that cannot be."""

from datetime import UTC, datetime, timedelta

from tests.tamper.kit import BUNDLE, FINISHED, NOW, STAMPED, Evidence, embed_timestamp
from tests.tools.tsa import POLICY, FakeTsa


def _scan(w, started, finished):
    return Evidence(files=w.made(started=started, finished=finished))


def _at(w, **off):
    return Evidence(files=w.signed(w.statement(), at=FINISHED + timedelta(**off)))


def _by(w, tsa, *, trusted=False, **more):
    roots = {"roots": tsa.pem, "policy_oid": POLICY, "max_lag_s": 3600}
    files = w.made(stamp=lambda s: tsa.token(s, STAMPED, **more))
    return Evidence(files=files, policy={"require_timestamp": roots} if trusted else {})


def _window(w, before, after):
    return Evidence(files=w.good, policy={"keys": w.keys(not_before=before, not_after=after)})


_SHORT = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
_GONE = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC))


def _tokens(w, change):
    def changed(bundle):
        data = bundle["verificationMaterial"]["timestampVerificationData"]
        data["rfc3161Timestamps"] = change(data["rfc3161Timestamps"])

    return Evidence(files=w.bundled(changed))


VARIANTS = {
    "twin": lambda w: _at(w, seconds=60),
    "ends before it begins": lambda w: _scan(w, "2026-11-21T04:10:00Z", "2026-11-21T04:05:00Z"),
    "no such moment": lambda w: _scan(w, "2026-13-41T04:10:00Z", "2026-11-21T04:05:00Z"),
    "in the future, at the limit": lambda w: Evidence(
        files=w.good, now=STAMPED - timedelta(seconds=300)
    ),
    "in the future": lambda w: Evidence(files=w.good, now=FINISHED - timedelta(seconds=301)),
    "the timestamp is in the future": lambda w: Evidence(
        files=w.good, now=STAMPED - timedelta(seconds=301)
    ),
    "the key's window begins as it signs": lambda w: _window(w, STAMPED, NOW),
    "the key's window ends as it signs": lambda w: _window(w, FINISHED, STAMPED),
    "before the key's window": lambda w: _window(w, STAMPED + timedelta(seconds=1), NOW),
    "after the key's window": lambda w: _window(w, FINISHED, STAMPED - timedelta(seconds=1)),
    "the TSA's certificate ended since": lambda w: Evidence(
        files=_by(w, tsa := FakeTsa(not_before=_SHORT[0], not_after=_SHORT[1]), trusted=True).files,
        policy={"require_timestamp": {"roots": tsa.pem}, "max_age_hours": 9000},
        now=datetime(2026, 12, 24, tzinfo=UTC),
    ),
    "outside of the TSA's certificate": lambda w: _by(
        w, FakeTsa(not_before=_GONE[0], not_after=_GONE[1]), trusted=True
    ),
    "an authority that nobody trusts": lambda w: _by(w, FakeTsa()),
    "a certificate for another purpose": lambda w: _by(w, FakeTsa(has_eku=False), trusted=True),
    "under another policy": lambda w: _by(w, FakeTsa(), trusted=True, policy="1.2.3"),
    "over another signature": lambda w: Evidence(
        files=w.made(stamp=lambda s: w.tsa.token(b"another", STAMPED))
    ),
    "from before the scan, at the limit": lambda w: _at(w, seconds=-300),
    "from before the scan": lambda w: _at(w, seconds=-301),
    "long after the scan, at the limit": lambda w: Evidence(
        files=_at(w, seconds=3600).files, now=NOW + timedelta(hours=1)
    ),
    "long after the scan": lambda w: Evidence(
        files=_at(w, seconds=3601).files, now=NOW + timedelta(hours=1)
    ),
    "two timestamps": lambda w: _tokens(w, lambda tokens: tokens * 2),
    "an empty list of timestamps": lambda w: _tokens(w, lambda tokens: []),
    "a timestamp with more beside it": lambda w: _tokens(w, lambda t: [{**t[0], "more": 1}]),
    "a timestamp that is not base64": lambda w: _tokens(w, lambda t: [{"signedTimestamp": "!"}]),
    "another token in the bundle": lambda w: Evidence(
        files={
            **w.good,
            BUNDLE: embed_timestamp(w.good[BUNDLE], w.tsa.token(w.good["statement.sig"], NOW)),
        }
    ),
}
