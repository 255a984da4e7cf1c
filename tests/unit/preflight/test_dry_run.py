"""The dry run as a person types it, and what it prints of every shipped profile.

``HARDPAN_UPDATE_GOLDEN=1 pytest tests/unit/preflight/test_dry_run.py`` writes the golden
texts again; read the difference before committing it.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.events import discard
from hardpan.core.files import sha256_file
from hardpan.preflight import checks, output
from hardpan.preflight.plan import make_plan
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.profile import LAB_RELEASES
from hardpan.workflow import build_and_attest
from hardpan.workflow.request import BuildRequest
from tests.unit import fake_host

GOLDEN = Path(__file__).parents[2] / "golden" / "dry-run"


@pytest.fixture(autouse=True)
def _forbid_stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_host.install(monkeypatch)
    monkeypatch.chdir(tmp_path)
    # An expired waiver is reported.
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 21, tzinfo=UTC))
    for name in ("prepare_build", "build_image", "build_and_scan"):
        monkeypatch.setattr(build_and_attest, name, lambda *_: pytest.fail("a stage ran"))


def run_dry(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run([*arguments, "--cache", "cache", "--dry-run"])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profile_matches_golden_plan(name: str) -> None:
    request = BuildRequest(
        profile=load_profile(name), output_folder=Path("out"), cache_folder=Path("cache")
    )
    text = "\n".join(output.to_text(make_plan(request, discard, with_scan=True))) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("HARDPAN_UPDATE_GOLDEN") == "1":
        golden.write_text(text, "utf-8")

    assert text == golden.read_text("utf-8")


def test_every_golden_plan_belongs_to_a_shipped_profile() -> None:
    assert sorted(p.stem for p in GOLDEN.glob("*.txt")) == list(shipped_profiles())


def test_golden_plan_lines_fit_the_width() -> None:
    lines = [
        line for p in sorted(GOLDEN.glob("*.txt")) for line in p.read_text("utf-8").splitlines()
    ]

    assert len(lines) > 300
    assert [line for line in lines if len(line) > 110 and len(line.split()) > 2] == []


@pytest.mark.parametrize("command", [["build"], ["build", "--as", "iso"], ["prove"]])
@pytest.mark.parametrize("name", shipped_profiles())
def test_dry_run_writes_nothing_and_exits_as_the_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], name: str
) -> None:
    code, text = run_dry(capsys, *command, name)

    assert list(tmp_path.iterdir()) == []
    assert code == (0 if load_profile(name).release in LAB_RELEASES else 3)
    assert text.splitlines()[0].startswith(f"dry run of {name}: ")
    assert ("the run can start" in text) == (code == 0)
    folder_options = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    if code:
        assert cli.run([*command, name, *folder_options]) == code


def test_dry_run_does_not_change_output_and_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("out", "cache"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.txt").write_text("mine", "utf-8")

    run_dry(capsys, "prove", "lab-ai", "-o", "out")

    paths = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert paths == ["cache", "cache/mine.txt", "out", "out/mine.txt"]


def test_expired_waiver_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2096, 1, 1, tzinfo=UTC))

    assert "expired on 20" in run_dry(capsys, "build", "lab-stig")[1]


def test_json_output_has_problems_stages_and_layers(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run_dry(capsys, "build", "rocky9-stig-nvidia", "--json")

    plan = json.loads(text)
    assert code == plan["exit_code"] == 3
    assert plan["can_start"] is False
    assert [p["area"] for p in plan["problems"]][:2] == ["licences", "stacks"]
    assert all(p["message"] and p["hint"] and p["exit_code"] == 3 for p in plan["problems"])
    assert [s["stage"] for s in plan["stages"]] == [
        *("media", "content", "iso", "install", "assess"),
        *("layer-nvidia_driver", "layer-cuda", "layer-ml_frameworks", "layer-stig"),
        *("sysprep", "image", "provenance"),
    ]
    assert plan["stages"][10]["outputs"] == ["rocky9-stig-nvidia/rocky9-stig-nvidia.qcow2"]
    driver = plan["layers"][0]
    assert len(driver["repositories"][0]["key_sha256"]) == 64
    assert {p["package"] for p in driver["packages"]} >= {"nvidia-driver-cuda"}
    assert plan["layers"][2]["stacks"][0]["files_to_download"] > 50


def test_explain_prints_stages_with_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["build", "lab-stig", "-o", "out", "--cache", "cache", "--explain"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0] == "media         build: the cache has no media"
    assert lines[4:6] == [
        "assess        build: follows install, which is built",
        "layer-ml_cpu  build: follows assess, which is built",
    ]
    assert list(tmp_path.iterdir()) == []


def test_explain_as_json_has_state_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["prove", "rocky9-stig", "--cache", "cache", "--explain", "--json"])

    explanation = json.loads(capsys.readouterr().out)
    assert code == 3
    assert explanation["profile"] == "rocky9-stig"
    assert explanation["can_start"] is False
    stages = {x["stage"]: (x["state"], x["reasons"]) for x in explanation["stages"]}
    assert stages["iso"] == ("build", ["no stored result"])
    assert stages["verify"] == ("build", ["runs every time"])


def test_explain_prints_the_problems(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["build", "rocky9-stig", "--cache", "cache", "--explain"])

    text = capsys.readouterr().out
    assert "  1 media: rocky9: Rocky Linux 9 DVD is needed and no --media FILE was given" in text


def test_tool_output_is_escaped_in_dry_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_error(_profile: object) -> None:
        raise ToolError(["ansible-playbook"], "exited with 4", output_tail="a\x1b[31mb\nc")

    monkeypatch.setattr(checks, "validate_roles", raise_error)

    code, text = run_dry(capsys, "build", "lab-stig")

    assert code == 4
    assert "  1 layers: ansible-playbook exited with 4\n    | a\\x1b[31mb\n    | c\n    -> " in text


def test_plan_contains_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct-horse-battery\n", "utf-8")
    profile_file = tmp_path / "ours.yaml"
    profile_file.write_text(
        "extends: rocky10-stig\nname: ours\ntitle: Ours\nstorage:\n  encryption: {mode: luks2}\n",
        "utf-8",
    )
    original_digest = sha256_file(secret)

    for options in ((), ("--json",)):
        code, text = run_dry(
            capsys, "build", str(profile_file), "--luks-passphrase-file", str(secret), *options
        )
        assert code == 3
        assert "correct-horse" not in text
    assert sha256_file(secret) == original_digest


def test_build_without_output_folder_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["build", "lab-stig", "--cache", "cache"]) == 2
    assert "-o FOLDER is missing" in capsys.readouterr().err
