"""hardpan check compares waivers and tailoring with the content that they are for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.scanners.content import store
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, RULE
from tests.unit.profiles.conftest import GOOD

STIG = "xccdf_org.ssgproject.content_profile_stig"
UNMATCHED = f"a rule of {STIG} or a check of hardpan, got neither"
WAIVER = "{rule: encrypt_partitions, reason: A test., owner: me, expires: 2027-11-30}"

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Write files and check them; the texts of the answer are without the folder."""
    content = tmp_path / "x-ds.xml"
    content.write_bytes(MINIMAL_DATASTREAM)

    def run(
        profile: str | None, waivers: str = "", tailoring: str = "", *options: str
    ) -> tuple[int, str, str]:
        arguments = ["check", "--content", str(content), *options]
        for name, text in (("p.yaml", profile), ("w.yaml", waivers), ("t.yaml", tailoring)):
            if text:
                (tmp_path / name).write_text(text)
                option = {"w.yaml": ["--waivers"], "t.yaml": ["--tailoring"]}.get(name, [])
                arguments += [*option, str(tmp_path / name)]
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, *(text.replace(f"{tmp_path}/", "") for text in (captured.out, captured.err))  # type: ignore[return-value]

    return run


def profile_with(*rules: str) -> str:
    lines = "".join(f"\n    - {WAIVER.replace('encrypt_partitions', rule)}" for rule in rules)
    assert f"\n    - {WAIVER}" in GOOD
    return GOOD.replace(f"\n    - {WAIVER}", lines)


def waivers_for(*rules: str, expires: str = "2027-11-30") -> str:
    lines = [f"  - {{rule: {r}, reason: x, owner: y, expires: {expires}}}\n" for r in rules]
    return "waivers:\n" + "".join(lines)


def test_waivers_that_match_are_ok(run_check: Check) -> None:
    code, out, _ = run_check(profile_with("one"), waivers_for("two", f"{RULE}three"))

    assert code == 0
    assert "ok  good  sha256:" in out
    assert "ok  w.yaml" in out


def test_every_problem_is_reported_with_its_location(run_check: Check) -> None:
    code, out, err = run_check(
        profile_with("one", "threee", "five"), waivers_for("'*one'", "tow", "RHEL-09-99")
    )

    second = "expected one waiver for each rule, got a second for one"
    assert (code, out) == (3, "")
    assert f"{second}; the first is at p.yaml:40:14" in err
    assert "error: 5 problems" in err
    for problem in (
        f"p.yaml:41:14: threee: expected {UNMATCHED}; did you mean three?",
        f"p.yaml:42:14: five: expected a rule that {STIG} selects, got one that it does not select",
        f"w.yaml:2:12: {second}",
        f"w.yaml:3:12: tow: expected {UNMATCHED}",
        f"w.yaml:4:12: RHEL-09-99: expected {UNMATCHED}",
    ):
        assert problem in err


def test_waiver_file_may_name_checks_of_hardpan(run_check: Check) -> None:
    names = "hardpan-check-fips-state, hardpan-check-mount-options.*, hardpan-check-secure-bot"
    waivers = f"waivers: [{{rules: [{names}], reason: r, owner: o, expires: 2099-01-31}}]\n"

    code, _, err = run_check(profile_with("one"), waivers)

    assert code == 3
    assert "error: 1 problem" in err
    assert (
        f"hardpan-check-secure-bot: expected {UNMATCHED}; did you mean hardpan-check-secure-boot"
        in err
    )


def test_waiver_for_a_rule_that_the_tailoring_unselects_is_a_problem(run_check: Check) -> None:
    code, _, err = run_check(profile_with("four"), "", "unselect: {four: Not needed.}\n")

    assert code == 3
    assert f"four: expected a rule that {STIG}_tailored selects, got one that it does not" in err


def test_tailoring_with_missing_ids_is_a_problem_of_the_profile(run_check: Check) -> None:
    code, out, err = run_check(
        profile_with("one"), "", "unselect: {foru: x}\nset: {v: {value: 1, reason: x}}\n", "--json"
    )

    facts = json.loads(out)
    assert code == 3
    assert [f["ok"] for f in facts] == [False, True]
    assert facts[0]["problems"][1] == "t.yaml:2:7: set.v: no such value"
    assert "t.yaml:1:18: unselect.foru: no such rule or group; did you mean four?" in err


def test_files_are_validated_without_a_profile(run_check: Check) -> None:
    code, _, err = run_check(None, "waivers: [{rule: one}]\n", "select: {one: }\n")

    assert code == 3
    assert "w.yaml:1:11: waivers[0].reason: is missing" in err
    assert "t.yaml:1:10: select.one: expected text" in err


def test_expired_waiver_of_a_file_is_a_warning(run_check: Check) -> None:
    code, _, err = run_check(profile_with("one"), waivers_for("two", expires="2025-01-01"))

    assert code == 0
    assert "warning: w.yaml: the waiver for two expired on 2025-01-01" in err


def test_waiver_file_is_compared_with_all_profiles_together(
    run_check: Check, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    profile = profile_with("five").replace("name: good", "name: other")
    other.write_text(profile.replace("stig:\n", f"stig:\n  profile_id: {STIG[:-4]}other\n"))

    code, out, err = run_check(profile_with("one"), waivers_for("two", "six"), "", str(other))

    assert code == 3, out
    assert "1 problem" in err
    assert f"six: expected a rule of {STIG[:-4]}other or {STIG} or a check of hardpan, got" in err


def test_missing_content_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.yaml").write_text(profile_with("one"))
    monkeypatch.setattr(store, "updated_folder", lambda: tmp_path / "none")

    code = cli.run(["check", str(tmp_path / "p.yaml"), "--content", "updated"])

    assert code == 0
    assert "warning: good: waivers and tailoring were not compared: " in capsys.readouterr().err


def test_content_file_that_is_no_data_stream_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.xml").write_text("<a/>")

    assert cli.run(["check", "lab-stig", "--content", str(tmp_path / "x.xml")]) == 3
    assert "expected a source data stream, got <a>" in capsys.readouterr().err
