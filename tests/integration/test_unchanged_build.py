"""A build with nothing changed starts no guest, no installer and no converter, and reads no image.

The first build has stand-ins for installer and guest (``stand_in_build.py``), the second is the
unmodified program. ``make bench-unchanged`` has the time.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from hardpan.core.process import run
from tests.integration import rocky_dvd
from tests.integration.conftest import REPO
from tests.integration.stand_in_build import build_arguments

pytestmark = pytest.mark.integration

STAGES = [
    *("iso", "install", "assess", "layer-ml_frameworks", "layer-stig", "sysprep", "image"),
    *("vmdk", "provenance"),
]
LIGHT_PROGRAMS = {"bash", "prlimit", "ssh-keygen", "qemu-img"}


class Build:
    """One build of a profile after another, from one ISO into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        iso_folder = folder / "iso"
        iso_folder.mkdir(parents=True)
        self.iso = rocky_dvd.write_iso(rocky_dvd.complete_dvd(9), iso_folder)
        self.runs = 0
        self.output = ""

    def run(self, module: str, *options: str, exit_code: int = 0) -> list[dict[str, Any]]:
        """Build; return the records of the log."""
        self.runs += 1
        log = self.folder / f"{self.runs}.jsonl"
        arguments = build_arguments("rocky9-stig-cpu", self.iso, self.folder, "qcow2,vmdk")
        argv = [sys.executable, "-m", module, *arguments, "--log-file", log, *options]
        environment = {"XDG_DATA_HOME": str(self.folder / "data")}
        result = run(argv, timeout_s=300, cwd=REPO, env=environment, ok=(exit_code,))
        self.output = result.stdout
        return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    built = Build(tmp_path_factory.mktemp("unchanged"))
    built.run("tests.integration.stand_in_build")
    return built


def stages(records: Iterable[dict[str, Any]], *, reused: bool) -> list[str]:
    return [r["stage"] for r in records if r.get("reused") is reused and r["stage"] in STAGES]


def programs(records: Iterable[dict[str, Any]]) -> list[list[str]]:
    return [r["argv"] for r in records if r["kind"] == "process_started"]


def texts(records: Iterable[dict[str, Any]]) -> str:
    return "\n".join(str(r.get("text", "")) for r in records)


def test_nothing_heavy_is_started(build: Build) -> None:
    records = build.run("hardpan")

    assert stages(records, reused=True) == STAGES
    assert stages(records, reused=False) == []
    argv_list = programs(records)
    assert len(argv_list) > 10
    assert {Path(argv[0]).name for argv in argv_list} <= LIGHT_PROGRAMS
    assert {argv[1] for argv in argv_list if argv[0] == "qemu-img"} == {"info"}
    # The whole ISO is read once, by the first build.
    assert "checking the digest" not in texts(records)


def test_dry_run_reports_drift_of_the_lock(build: Build) -> None:
    path = build.folder / "out" / "rocky9-stig-cpu.lock.json"
    lock = json.loads(path.read_text())
    build.run("hardpan", "--dry-run", "--json", "--locked", str(path))
    assert json.loads(build.output)["problems"] == []

    lock["repositories"][0]["sha256"] = "0" * 64
    lock["packages"][0] |= {"repository": "BaseOS", "nevra": "bash-9.9-1.el9.x86_64"}
    changed = build.folder / "changed.lock.json"
    changed.write_text(json.dumps(lock))
    records = build.run("hardpan", "--dry-run", "--json", "--locked", str(changed), exit_code=6)

    (problem,) = json.loads(build.output)["problems"]
    assert "2 differences" in problem["message"]
    assert "repository AppStream: expected sha256 000" in problem["message"]
    assert "package bash-9.9-1.el9.x86_64: not on the media" in problem["message"]
    assert stages(records, reused=True) + stages(records, reused=False) == []


def test_touched_iso_is_read_and_nothing_is_built(build: Build) -> None:
    build.iso.touch()

    records = build.run("hardpan")

    assert stages(records, reused=True) == STAGES
    assert "checking the digest" in texts(records)


def test_changed_build_is_checked_in_full(build: Build) -> None:
    """ksvalidator, the roles and the machine are checked before a stage runs."""
    (build.folder / "out" / "rocky9-stig-cpu.vmdk").unlink()

    records = build.run("hardpan")

    # A new vmdk has another content id, so its digest in the provenance is another one.
    assert stages(records, reused=False) == ["vmdk", "provenance"]
    assert "ksvalidator" in {Path(argv[0]).name for argv in programs(records)}
