"""Impossible times."""

from datetime import UTC, datetime, timedelta

from tests.tamper.kit import BUNDLE, FINISHED, NOW, STAMPED, Evidence, embed_timestamp
from tests.tools.tsa import POLICY, FakeTsa


def _scan(kit, started, finished):
    return Evidence(files=kit.sign_scan(started=started, finished=finished))


def _at(kit, **off):
    return Evidence(files=kit.sign_payload(kit.read_statement(), at=FINISHED + timedelta(**off)))


def _by(kit, tsa, *, trusted=False, **more):
    roots = {"roots": tsa.pem, "policy_oid": POLICY, "max_lag_s": 3600}
    files = kit.sign_scan(stamp=lambda s: tsa.make_token(s, STAMPED, **more))
    return Evidence(files=files, policy={"require_timestamp": roots} if trusted else {})


def _window(kit, before, after):
    return Evidence(
        files=kit.valid_files, policy={"keys": kit.policy_keys(not_before=before, not_after=after)}
    )


_SHORT = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
_EXPIRED = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC))


def _tokens(kit, change):
    def changed(bundle):
        data = bundle["verificationMaterial"]["timestampVerificationData"]
        data["rfc3161Timestamps"] = change(data["rfc3161Timestamps"])

    return Evidence(files=kit.with_changed_bundle(changed))


VARIANTS = {
    "control": lambda kit: _at(kit, seconds=60),
    "ends before it begins": lambda kit: _scan(kit, "2026-11-21T04:10:00Z", "2026-11-21T04:05:00Z"),
    "no such moment": lambda kit: _scan(kit, "2026-13-41T04:10:00Z", "2026-11-21T04:05:00Z"),
    "in the future, at the limit": lambda kit: Evidence(
        files=kit.valid_files, now=STAMPED - timedelta(seconds=300)
    ),
    "in the future": lambda kit: Evidence(
        files=kit.valid_files, now=FINISHED - timedelta(seconds=301)
    ),
    "the timestamp is in the future": lambda kit: Evidence(
        files=kit.valid_files, now=STAMPED - timedelta(seconds=301)
    ),
    "key becomes valid when it signs": lambda kit: _window(kit, STAMPED, NOW),
    "key expires when it signs": lambda kit: _window(kit, FINISHED, STAMPED),
    "before the key is valid": lambda kit: _window(kit, STAMPED + timedelta(seconds=1), NOW),
    "after the key expired": lambda kit: _window(kit, FINISHED, STAMPED - timedelta(seconds=1)),
    "the TSA's certificate ended since": lambda kit: Evidence(
        files=_by(
            kit, tsa := FakeTsa(not_before=_SHORT[0], not_after=_SHORT[1]), trusted=True
        ).files,
        policy={"require_timestamp": {"roots": tsa.pem}, "max_age_hours": 9000},
        now=datetime(2026, 12, 24, tzinfo=UTC),
    ),
    "outside of the TSA's certificate": lambda kit: _by(
        kit, FakeTsa(not_before=_EXPIRED[0], not_after=_EXPIRED[1]), trusted=True
    ),
    "untrusted authority": lambda kit: _by(kit, FakeTsa()),
    "a certificate for another purpose": lambda kit: _by(kit, FakeTsa(has_eku=False), trusted=True),
    "under another policy": lambda kit: _by(kit, FakeTsa(), trusted=True, policy="1.2.3"),
    "over another signature": lambda kit: Evidence(
        files=kit.sign_scan(stamp=lambda s: kit.tsa.make_token(b"another", STAMPED))
    ),
    "from before the scan, at the limit": lambda kit: _at(kit, seconds=-300),
    "from before the scan": lambda kit: _at(kit, seconds=-301),
    "long after the scan, at the limit": lambda kit: Evidence(
        files=_at(kit, seconds=3600).files, now=NOW + timedelta(hours=1)
    ),
    "long after the scan": lambda kit: Evidence(
        files=_at(kit, seconds=3601).files, now=NOW + timedelta(hours=1)
    ),
    "two timestamps": lambda kit: _tokens(kit, lambda tokens: tokens * 2),
    "an empty list of timestamps": lambda kit: _tokens(kit, lambda tokens: []),
    "a timestamp with more beside it": lambda kit: _tokens(kit, lambda t: [{**t[0], "more": 1}]),
    "a timestamp that is not base64": lambda kit: _tokens(
        kit, lambda t: [{"signedTimestamp": "!"}]
    ),
    "another token in the bundle": lambda kit: Evidence(
        files={
            **kit.valid_files,
            BUNDLE: embed_timestamp(
                kit.valid_files[BUNDLE], kit.tsa.make_token(kit.valid_files["statement.sig"], NOW)
            ),
        }
    ),
}
