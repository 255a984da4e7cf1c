from datetime import UTC, date, datetime

import pytest

from hardpan import clock
from hardpan.profiles.load import load
from hardpan.scanners import pipeline


def test_the_checks_expect_what_the_profile_says() -> None:
    wanted = pipeline.expected(load("lab-stig"))

    assert wanted.mounts["/home"] == ("nodev", "nosuid", "noexec")
    assert wanted.mounts["/dev/shm"] == ("nodev", "nosuid", "noexec")
    assert wanted.mounts["/boot/efi"] == ("nosuid",)
    assert wanted.fips
    assert wanted.build_user == "steward"
    assert wanted.sudo_nopasswd
    assert "audit" in wanted.packages
    assert not any(p.startswith("@") for p in wanted.packages)


def test_a_waiver_has_its_owner_and_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 21, tzinfo=UTC))

    rule = "xccdf_org.ssgproject.content_rule_encrypt_partitions"
    other = "xccdf_org.ssgproject.content_rule_service_auditd_enabled"
    held = pipeline.waivers(load("lab-stig"), (rule, other))

    assert list(held) == [rule]
    assert (held[rule].owner, held[rule].expires) == ("hardpan maintainers", "2027-11-30")
    assert held[rule].holds


def test_a_waiver_holds_to_the_end_of_its_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = load("lab-stig")
    rules = [w.rule for w in profile.stig.waivers]
    last = max(w.expires for w in profile.stig.waivers)
    on_the_day = datetime(last.year, last.month, last.day, 23, 59, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: on_the_day)

    assert any(w.holds for w in pipeline.waivers(profile, rules).values())

    after = date.fromordinal(last.toordinal() + 1)
    monkeypatch.setattr(
        clock, "now", lambda: datetime(after.year, after.month, after.day, tzinfo=UTC)
    )

    ended = pipeline.waivers(profile, rules)
    assert set(ended) == set(rules)
    assert not any(w.holds for w in ended.values())


def test_the_smoke_test_works_as_hard_as_the_profile_says() -> None:
    load_ = pipeline.load_of(load("lab-stig"))

    assert (load_.matrix_size, load_.batch) == (256, 2)
