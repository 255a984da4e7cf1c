"""Dry runs with the real ksvalidator, bash, Ansible, xorriso and the lab's own builder."""

import json
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder import ksvalidator
from hardpan.builder.ansible import runner
from hardpan.builder.layers import role_validation
from hardpan.core.errors import ToolError
from hardpan.core.files import sha256_file
from hardpan.kickstart import KickstartError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from tests.integration import rocky_dvd
from tests.unit.preflight.test_checks import BLOCKING_AREAS

pytestmark = pytest.mark.integration


def run_dry(
    capsys: pytest.CaptureFixture[str], workdir: Path, *arguments: object
) -> tuple[int, dict[str, object]]:
    folder_options = [
        "-o",
        workdir / "out",
        "--cache",
        workdir / "cache",
        "--dry-run",
        "--json",
        "-q",
    ]
    code = cli.run([*map(str, arguments), *map(str, folder_options)])
    plan = json.loads(capsys.readouterr().out)
    assert isinstance(plan, dict)
    return code, plan


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_renders_lints_and_dry_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, plan = run_dry(capsys, tmp_path, "build", name)

    assert list(tmp_path.iterdir()) == []
    assert code == plan["exit_code"]
    setting, problems = plan["settings"], plan["problems"]
    assert isinstance(setting, dict)
    assert isinstance(problems, list)
    assert setting["kickstart"].endswith("accepted by linter, bash and ksvalidator")
    areas = [problem["area"] for problem in problems]
    assert [area for area in areas if area != "disk"] == BLOCKING_AREAS[name]
    assert [problem["message"] for problem in problems if "ansible" in problem["message"]] == []


def test_rocky_build_can_start_with_media(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "iso").mkdir()
    iso = rocky_dvd.write_iso(rocky_dvd.complete_dvd(10), tmp_path / "iso")
    original_paths = sorted(tmp_path.rglob("*"))
    arguments = ("build", "rocky10-stig", "--as", "iso", "--media", iso, "--media-sha256")

    assert run_dry(capsys, tmp_path, *arguments, sha256_file(iso))[0] == 0
    code, plan = run_dry(capsys, tmp_path, *arguments, "0" * 64)
    assert code == 6
    assert f"{iso}: expected sha256 000" in str(plan["problems"])
    assert sorted(tmp_path.rglob("*")) == original_paths


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stig_user": None}, "stig: "),
        ({"stig_sudo": "always"}, "value of stig_sudo must be one of: none, password, nopasswd"),
        ({"stig_slice_s": "soon"}, "stig_slice_s"),
    ],
)
def test_ansible_rejects_invalid_role_arguments(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    values = dict(role_validation.planned_variables(load_profile("lab-stig"))["stig"])
    assert runner.argument_errors({"stig": values}, tmp_path) == ()
    values |= change
    workdir = tmp_path / "again"
    workdir.mkdir()

    (error,) = runner.argument_errors(
        {"stig": {k: v for k, v in values.items() if v is not None}}, workdir
    )

    assert message in error


def test_missing_role_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        runner.check_syntax(["stig", "no_such_role"], tmp_path)

    assert "no_such_role" in caught.value.output_tail


def test_ksvalidator_message_is_reported() -> None:
    golden = Path(__file__).parents[1] / "golden" / "kickstart" / "rocky10-stig.ks"
    text = golden.read_text("utf-8")
    assert ksvalidator.validate(text, "rocky10")

    with pytest.raises(KickstartError, match=r"ksvalidator rejects the kickstart: .*nosuchcommand"):
        ksvalidator.validate(f"nosuchcommand\n{text}", "rocky10")
