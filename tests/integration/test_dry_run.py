"""Dry runs with the real ksvalidator, bash, Ansible, xorriso and the lab's own builder."""

import json
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder import ksvalidator
from hardpan.builder.layers import ansible, rehearsal
from hardpan.errors import ToolError
from hardpan.files import sha256_file
from hardpan.kickstart import KickstartError
from hardpan.profiles.catalog import shipped
from hardpan.profiles.load import load
from tests.integration import tiny_media
from tests.unit.prove.test_before import IN_THE_WAY

pytestmark = pytest.mark.integration


def told(
    capsys: pytest.CaptureFixture[str], room: Path, *arguments: object
) -> tuple[int, dict[str, object]]:
    to = ["-o", room / "out", "--cache", room / "cache", "--dry-run", "--json", "-q"]
    code = cli.run([*map(str, arguments), *map(str, to)])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return code, found


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_profile_renders_lints_and_dry_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, found = told(capsys, tmp_path, "build", name)

    assert list(tmp_path.iterdir()) == []
    assert code == found["exit_code"]
    setting, problems = found["setting"], found["problems"]
    assert isinstance(setting, dict)
    assert isinstance(problems, list)
    assert setting["kickstart"].endswith("accepted by our linter, bash and ksvalidator")
    areas = [problem["area"] for problem in problems]
    assert [area for area in areas if area != "disk"] == IN_THE_WAY[name]
    assert [problem["what"] for problem in problems if "ansible" in problem["what"]] == []


def test_with_media_at_hand_a_rocky_build_could_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "iso").mkdir()
    iso = tiny_media.el10(tmp_path / "iso", label="Rocky-10-2-x86_64-dvd").path
    before = sorted(tmp_path.rglob("*"))
    given = ("build", "rocky10-stig", "--as", "iso", "--media", iso, "--media-sha256")

    assert told(capsys, tmp_path, *given, sha256_file(iso))[0] == 0
    code, found = told(capsys, tmp_path, *given, "0" * 64)
    assert code == 6
    assert f"{iso}: expected sha256 000" in str(found["problems"])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stig_user": None}, "stig: "),
        ({"stig_sudo": "always"}, "value of stig_sudo must be one of: none, password, nopasswd"),
        ({"stig_slice_s": "soon"}, "stig_slice_s"),
    ],
)
def test_ansible_itself_refuses_what_a_role_does_not_take(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    values = dict(rehearsal.given(load("lab-stig"))["stig"])
    assert ansible.refused_values({"stig": values}, tmp_path) == ()
    values |= change
    room = tmp_path / "again"
    room.mkdir()

    (said,) = ansible.refused_values(
        {"stig": {k: v for k, v in values.items() if v is not None}}, room
    )

    assert says in said


def test_a_role_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        ansible.check_syntax(["stig", "no_such_role"], tmp_path)

    assert "no_such_role" in caught.value.tail


def test_ksvalidator_s_own_words_are_told() -> None:
    golden = Path(__file__).parents[1] / "golden" / "kickstart" / "rocky10-stig.ks"
    text = golden.read_text("utf-8")
    assert ksvalidator.validated(text, "rocky10")

    with pytest.raises(KickstartError, match=r"ksvalidator refuses the kickstart: .*nosuchcommand"):
        ksvalidator.validated(f"nosuchcommand\n{text}", "rocky10")
