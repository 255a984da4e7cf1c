"""The dry run as a person types it, and what it prints of every shipped profile.

``HARDPAN_UPDATE_GOLDEN=1 pytest tests/unit/prove/test_dry_run.py`` writes the golden
texts anew; read the difference before committing it.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardpan import cli, clock
from hardpan.errors import ToolError
from hardpan.events import silent
from hardpan.files import sha256_file
from hardpan.profiles.catalog import shipped
from hardpan.profiles.load import load
from hardpan.prove import before, job, telling
from hardpan.prove.asked import Asked
from hardpan.prove.examine import examine
from tests.unit import bare_machine

GOLDEN = Path(__file__).parents[2] / "golden" / "dry-run"


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare_machine.put(monkeypatch)
    monkeypatch.chdir(tmp_path)
    # A waiver that has ended is told.
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 21, tzinfo=UTC))
    for name in ("plan", "build", "prove"):
        monkeypatch.setattr(job, name, lambda *_: pytest.fail("a stage ran"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run([*arguments, "--cache", "cache", "--dry-run"])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_profile_gives_its_golden_plan(name: str) -> None:
    asked = Asked(profile=load(name), out=Path("out"), cache=Path("cache"))
    text = "\n".join(telling.lines(examine(asked, silent, proof=True))) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("HARDPAN_UPDATE_GOLDEN") == "1":
        golden.write_text(text, "utf-8")

    assert text == golden.read_text("utf-8")


def test_no_golden_plan_is_left_over() -> None:
    assert sorted(p.stem for p in GOLDEN.glob("*.txt")) == list(shipped())


def test_a_golden_plan_has_no_line_that_runs_over_but_for_single_words() -> None:
    lines = [x for p in sorted(GOLDEN.glob("*.txt")) for x in p.read_text("utf-8").splitlines()]

    assert len(lines) > 300
    assert [x for x in lines if len(x) > 110 and len(x.split()) > 2] == []


@pytest.mark.parametrize("verb", [["build"], ["build", "--as", "iso"], ["prove"]])
@pytest.mark.parametrize("name", shipped())
def test_a_dry_run_writes_nothing_and_ends_as_the_build_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: list[str], name: str
) -> None:
    code, text = run(capsys, *verb, name)

    assert list(tmp_path.iterdir()) == []
    assert code == (0 if name.startswith("lab-") else 3)
    assert text.splitlines()[0].startswith(f"dry run of {name}: ")
    assert ("it could start" in text) == (code == 0)
    to = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    if code:
        assert cli.run([*verb, name, *to]) == code


def test_an_earlier_output_and_the_cache_are_left_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("out", "cache"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.txt").write_text("mine", "utf-8")

    run(capsys, "prove", "lab-ai", "-o", "out")

    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert found == ["cache", "cache/mine.txt", "out", "out/mine.txt"]


def test_a_waiver_that_has_ended_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2096, 1, 1, tzinfo=UTC))

    assert "ended on 20" in run(capsys, "build", "lab-stig")[1]


def test_programs_get_the_same_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, "build", "rocky9-stig-nvidia", "--json")

    told = json.loads(text)
    assert code == told["exit_code"] == 3
    assert told["could_start"] is False
    assert [p["area"] for p in told["problems"]][:2] == ["licences", "layers"]
    assert all(p["what"] and p["next"] and p["exit_code"] == 3 for p in told["problems"])
    assert [s["stage"] for s in told["stages"]] == [
        *("media", "content", "iso", "install", "assess", "harden", "provenance")
    ]
    assert told["stages"][5]["makes"] == ["rocky9-stig-nvidia/rocky9-stig-nvidia.qcow2"]
    driver = told["layers"][0]
    assert len(driver["from"][0]["key_sha256"]) == 64
    assert {p["package"] for p in driver["packages"]} >= {"nvidia-driver-cuda"}
    assert told["layers"][2]["stacks"][0]["to_download"] > 50


def test_what_a_program_said_is_shown_with_escapes_for_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_profile: object) -> None:
        raise ToolError(["ansible-playbook"], "exited with 4", tail="a\x1b[31mb\nc")

    monkeypatch.setattr(before, "rehearse", refuse)

    code, text = run(capsys, "build", "lab-stig")

    assert code == 4
    assert "  1 layers: ansible-playbook exited with 4\n    | a\\x1b[31mb\n    | c\n    -> " in text


def test_a_secret_is_in_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct-horse-battery\n", "utf-8")
    ours = tmp_path / "ours.yaml"
    ours.write_text(
        "extends: rocky10-stig\nname: ours\ntitle: Ours\nstorage:\n  encryption: {mode: luks2}\n",
        "utf-8",
    )
    before_it = sha256_file(secret)

    for more in ((), ("--json",)):
        code, text = run(capsys, "build", str(ours), "--luks-passphrase-file", str(secret), *more)
        assert code == 3
        assert "correct-horse" not in text
    assert sha256_file(secret) == before_it


def test_without_a_folder_only_a_dry_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["build", "lab-stig", "--cache", "cache"]) == 2
    assert "no -o FOLDER for the outputs was given" in capsys.readouterr().err
