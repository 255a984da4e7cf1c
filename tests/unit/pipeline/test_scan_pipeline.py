from datetime import UTC, date, datetime

import pytest

from hardpan import clock
from profiles.load import load
from scanners import pipeline


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


def test_an_exception_has_its_owner_and_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 21, tzinfo=UTC))

    held = pipeline.exceptions(load("lab-stig"))

    reason = held["xccdf_org.ssgproject.content_rule_encrypt_partitions"]
    assert reason.endswith("(hardpan maintainers, until 2027-11-30)")


def test_an_expired_exception_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    last = max(e.expires for e in load("lab-stig").stig.exceptions)
    on_the_day = datetime(last.year, last.month, last.day, 23, 59, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: on_the_day)

    assert pipeline.exceptions(load("lab-stig"))

    after = date.fromordinal(last.toordinal() + 1)
    monkeypatch.setattr(
        clock, "now", lambda: datetime(after.year, after.month, after.day, tzinfo=UTC)
    )

    assert pipeline.exceptions(load("lab-stig")) == {}


def test_the_smoke_test_works_as_hard_as_the_profile_says() -> None:
    load_ = pipeline.load_of(load("lab-stig"))

    assert (load_.matrix_size, load_.batch) == (256, 2)
