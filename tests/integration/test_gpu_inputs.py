"""A GPU image needs three inputs: the DVD, an SSH key, and the accepted licence.

The media are synthetic: Rocky's package names without packages. The vendors' repositories are only
contacted by a build.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.core.process import run
from hardpan.preflight import checks
from tests.integration import rocky_dvd
from tests.integration.rocky_dvd import RockyDvd

pytestmark = pytest.mark.integration

PROFILE = """\
extends: rocky{major}-ai
name: gpu-host
title: A GPU host
hardware: {{nvidia: {{accept_eula: true}}}}
"""
CPU_PROFILE = """\
extends: rocky{major}-stig-cpu
name: cpu-host
title: A host without a GPU
"""


@pytest.fixture
def no_disk_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimates for a real build are larger than the disk of a test machine."""
    monkeypatch.setattr(checks, "require_free_space", lambda *_args, **_options: None)


def plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dvd: RockyDvd, text: str = PROFILE
) -> dict[str, Any]:
    """The dry run of a profile with these media and a new SSH key."""
    profile, key = tmp_path / "gpu-host.yaml", tmp_path / "key"
    profile.write_text(text.format(major=dvd.major))
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", key], timeout_s=20)
    iso = rocky_dvd.write_iso(dvd, tmp_path / "media")
    capsys.readouterr()
    arguments = ["build", str(profile), "--media", str(iso), "--ssh-key", str(key), "--dry-run"]
    folders = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    code = cli.run([*arguments, *folders, "--json"])
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == result["exit_code"]
    return result


@pytest.mark.usefixtures("no_disk_check")
@pytest.mark.parametrize("major", [9, 10])
def test_dvd_key_and_licence_are_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], major: int
) -> None:
    result = plan(tmp_path, capsys, rocky_dvd.complete_dvd(major))

    assert result["problems"] == []
    assert result["can_start"] is True
    repositories = {r["repository"]: r for x in result["layers"] for r in x.get("repositories", [])}
    assert set(repositories) == {"cuda", "rocky", "epel", "nvidia-container-toolkit"}
    assert repositories["rocky"]["url"] == "the install media"
    assert all(len(r["key_sha256"]) == 64 for r in repositories.values())


@pytest.mark.usefixtures("no_disk_check")
def test_dvd_and_key_are_enough_without_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = plan(tmp_path, capsys, rocky_dvd.complete_dvd(10), text=CPU_PROFILE)

    assert result["problems"] == []


@pytest.mark.usefixtures("no_disk_check")
def test_package_that_the_build_needs_must_be_on_the_dvd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dvd = rocky_dvd.complete_dvd(9).without_package("kernel-devel-matched")

    result = plan(tmp_path, capsys, dvd)

    (problem,) = result["problems"]
    assert "kernel-devel-matched" in problem["message"]
