import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpan import clock
from hardpan.errors import InputError, ResourceError, ToolError, UnreachableError
from hardpan.events import silent
from hardpan.profiles.load import load
from hardpan.scanners import pipeline
from hardpan.scanners.arf import UnreadableArf
from hardpan.scanners.collect.base import Evidence
from hardpan.scanners.commands.scan import check_complete
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.fips.model import Facts, Said
from hardpan.scanners.model import Scan
from hardpan.scanners.report.fill import findings
from hardpan.scanners.target import Target
from hardpan.scanners.trials import Check
from tests.unit.evaluate.arfs import arf, prepared, rule
from tests.unit.evidence import samples


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


NEVRA = "bash-0:5.2-1.x86_64"
PASSWORD = "correct horse"
ANSWERS: dict[str, Evidence] = {
    "host": Evidence(host=samples.HOST, packages=(NEVRA,)),
    "openscap": Evidence(arfs=(arf(one="pass"), arf(two="fail")), engine="oscap 1"),
    "hostfacts": Evidence(checks=(Check(name="a::b", outcome="passed", message="", took_s=1),)),
    "packages": Evidence(packages=(NEVRA,)),
    "fips": Evidence(fips=Facts(said={"flag": Said(rc=0, text="1")})),
}


def request(**changes: Any) -> pipeline.Request:
    asked = pipeline.Request(
        target=Target(host="host", user="me"),
        profile=load("lab-stig"),
        source=cast(Source, None),
        paired=True,
    )
    return replace(asked, **changes)


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scan]:
    """Scans a target whose collectors give ``ANSWERS``, or what is given by their names."""
    rules = (rule("one"), rule("two"))
    content = prepared(rules, ("one",), ("two",))

    @contextlib.contextmanager
    def connect(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace()

    def scan(asked: pipeline.Request | None = None, **given: Evidence | Exception) -> Scan:
        def ask(name: str, otherwise: Any) -> Any:
            answer = given.get(name, otherwise)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def collector(name: str) -> SimpleNamespace:
            return SimpleNamespace(collect=lambda *_, **__: ask(name, ANSWERS[name]))

        monkeypatch.setattr(pipeline, "prepare", lambda *_: content)
        monkeypatch.setattr(pipeline, "connect", connect)
        monkeypatch.setattr(pipeline, "collector", collector)
        monkeypatch.setattr(pipeline.pairs, "paired", lambda *_, **__: ask("paired", None))
        monkeypatch.setattr(pipeline, "smoke", lambda *_, **__: ask("smoke", samples.SMOKE))
        monkeypatch.setattr(pipeline, "serving", lambda *_, **__: ask("chat", samples.SMOKE))
        monkeypatch.setattr(pipeline, "signed_by_host", lambda *_, **__: ask("proof", b""))
        return pipeline.scan(asked or request(), silent)

    return scan


def test_scan_brings_what_every_collector_found(scanned: Callable[..., Scan]) -> None:
    done = scanned()

    assert [c.outcome for c in done.checks] == ["passed"]
    assert [r.verdict.value for r in done.evaluation.results] == ["pass", "fail"]
    assert done.fips is not None
    assert done.fips.kernel_fips_flag == "on"


@pytest.mark.parametrize("part", ["hostfacts", "packages", "fips", "paired", "smoke"])
def test_part_that_fails_is_an_error_and_takes_no_other_with_it(
    part: str, scanned: Callable[..., Scan]
) -> None:
    good = scanned()

    done = scanned(**{part: ToolError(["x"], "answers nonsense \x1b[2J")})

    failed = [c for c in done.checks if c.name == f"collect::{part}"]
    assert [(c.outcome, c.message) for c in failed] == [("error", "x answers nonsense [2J")]
    assert done.evaluation == good.evaluation
    assert done.packages == (NEVRA,)
    assert (done.fips == good.fips) == (part not in ("fips", "packages"))
    assert findings(done).check_counts()["error"] == 1


def test_failed_parts_never_count_as_passed(scanned: Callable[..., Scan]) -> None:
    parts = ("hostfacts", "packages", "fips", "paired", "smoke")

    done = scanned(**{part: ToolError(["x"], "fails") for part in parts})

    assert {c.outcome for c in done.checks} == {"error"}
    assert done.smoke is not None
    assert (done.smoke.verdict, done.smoke.reason) == ("error", "x fails")
    assert done.paired is not None
    assert done.paired.counts()["error"] == len(done.paired.pairs) > 20
    assert done.fips is not None
    assert (done.fips.kernel_fips_flag, done.fips.pqc_available) == ("unknown", "unknown")
    assert {m.state for m in done.fips.modules} == {"unknown"}


def test_chat_that_fails_keeps_the_figures_of_the_workload(scanned: Callable[..., Scan]) -> None:
    asked = request(profile=load("lab-ai"))

    done = scanned(asked, chat=ToolError(["x"], "fails"))

    assert done.smoke is not None
    assert done.smoke.verdict == "error"
    assert done.smoke.measures == samples.SMOKE.measures


def test_part_of_the_content_that_cannot_be_read_is_an_error(scanned: Callable[..., Scan]) -> None:
    odd = Evidence(arfs=(arf(one="pass"), UnreadableArf(reason="it takes too long")))

    done = scanned(openscap=odd)

    assert [r.verdict.value for r in done.evaluation.results] == ["pass", "error"]
    assert done.evaluation.results[1].found == ("it takes too long",)
    assert done.checks == ANSWERS["hostfacts"].checks


def test_scan_without_all_its_parts_is_no_success(scanned: Callable[..., Scan]) -> None:
    check_complete(findings(scanned()))

    with pytest.raises(ToolError) as caught:
        check_complete(
            findings(scanned(smoke=ToolError(["x"], "fails"), fips=ToolError(["y"], "hangs")))
        )

    assert str(caught.value) == "the scan is not complete: fips: y hangs; smoke: x fails"


def test_verdicts_to_repair_by_must_all_be_there(
    scanned: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Evidence(arfs=(arf(one="pass"), UnreadableArf(reason="it takes too long")))
    scanned(openscap=odd)

    with pytest.raises(ToolError, match="no verdicts to repair by: it takes too long"):
        pipeline.assess(request().target, load("lab-stig"), cast(Source, None), silent)


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("host", ToolError(["x"], "does not say who it is")),
        ("openscap", ToolError(["oscap"], "is not installed")),
        ("packages", UnreachableError("the connection broke")),
        ("hostfacts", ResourceError("no memory")),
    ],
)
def test_what_no_scan_can_do_without_ends_it(
    part: str, error: Exception, scanned: Callable[..., Scan]
) -> None:
    with pytest.raises(type(error)):
        scanned(**{part: error})


def test_a_signature_that_is_not_the_hosts_is_left_out(scanned: Callable[..., Scan]) -> None:
    assert scanned(proof=b"-----BEGIN SSH SIGNATURE-----\nx").raw == {}


def test_password_that_appears_when_texts_are_cleaned_is_removed(
    scanned: Callable[..., Scan],
) -> None:
    word = Check(name="a::b", outcome="failed", message=f"so {PASSWORD}", took_s=1)
    told = replace(samples.HOST, hostname=PASSWORD, kernel=PASSWORD[::-1])
    asked = request(sudo_password=PASSWORD)

    done = scanned(
        asked,
        host=Evidence(host=told),
        hostfacts=Evidence(checks=(word,), files={"x.txt": f"x {PASSWORD}".encode()}),
        smoke=ToolError([PASSWORD], "fails"),
        packages=Evidence(packages=(PASSWORD,)),
    )

    assert PASSWORD not in repr(done)
    assert PASSWORD[::-1] not in repr(done)
    assert done.raw == {"x.txt": b"x [redacted]"}
    assert done.checks[0].message == "so [redacted]"


def test_password_that_the_content_contains_is_refused(
    scanned: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned()
    part = SimpleNamespace(data=b"<rule>accounts_password</rule>")
    monkeypatch.setattr(pipeline, "prepare", lambda *_: SimpleNamespace(parts=(part,)))

    with pytest.raises(InputError, match="the sudo password: cannot be used for a scan"):
        pipeline.scan(request(sudo_password="password"), silent)
