"""OpenSCAP over SSH: this machine as the target, which is no EL system."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.errors import InputError, ToolError
from hardpan.events import Event, Progress, silent
from hardpan.process import which
from hardpan.scanners.collect.base import Evidence, Expected, Task, collector
from hardpan.scanners.content import datastream
from hardpan.scanners.content.prepare import Prepared, prepare
from hardpan.scanners.evaluate import evaluation
from hardpan.scanners.model import ContentOrigin
from hardpan.scanners.target import Target
from hardpan.scanners.transport import connect
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_sshd(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture(scope="module")
def ready() -> Prepared:
    return prepare(datastream.find("rhel9", ContentOrigin.SHIPPED), "stig")


@pytest.fixture(scope="module")
def scanned(target: Target, ready: Prepared) -> tuple[Evidence, list[Event]]:
    heard: list[Event] = []
    with connect(target, timeout_s=20) as via:
        task = Task(prepared=ready)
        found = collector("openscap").collect(via, task, timeout_s=300, emit=heard.append)
    return found, heard


def test_every_part_brings_its_arf(scanned: tuple[Evidence, list[Event]], ready: Prepared) -> None:
    found, _ = scanned

    assert sorted(found.files) == ["arf-0.xml", "arf-1.xml"]
    assert sum(len(a.rules) for a in found.arfs) > 470
    assert re.search(r"oscap\) 1\.\d+", found.engine)


def test_progress_is_told_rule_by_rule(scanned: tuple[Evidence, list[Event]]) -> None:
    _, heard = scanned
    told = [e for e in heard if isinstance(e, Progress)]

    assert len(told) > 400
    assert [e.done for e in told] == list(range(1, len(told) + 1))


def test_content_that_does_not_apply_is_an_error(
    scanned: tuple[Evidence, list[Event]], ready: Prepared
) -> None:
    found, _ = scanned

    with pytest.raises(InputError, match="the content does not apply to the target"):
        evaluation(ready, found.arfs, engine=found.engine, os_name="Debian", os_cpe="")


def test_nothing_is_left_on_the_target(scanned: tuple[Evidence, list[Event]]) -> None:
    for base in ("/var/lib", "/root", "/run", "/opt"):
        assert not list(Path(base).glob("hardpan-scan.*"))


def test_oscap_missing_on_the_target_is_said(ready: Prepared, tmp_path: Path) -> None:
    with (
        local_sshd(tmp_path, instead=("oscap", Path("/dev/null"))) as target,
        connect(target, timeout_s=20) as via,
        pytest.raises(ToolError, match="oscap is not installed on") as caught,
    ):
        collector("openscap").collect(via, Task(prepared=ready), timeout_s=60, emit=silent)

    assert "install openscap-scanner" in caught.value.hint


def test_a_scan_that_takes_too_long_ends_and_leaves_nothing(
    ready: Prepared, tmp_path: Path
) -> None:
    real, slow = tmp_path / "real-oscap", tmp_path / "slow-oscap"
    shutil.copy2(str(which("oscap")), real)
    slow.write_text(f'#!/bin/sh\n[ "$1" != xccdf ] || sleep 60\nexec {real} "$@"\n')
    slow.chmod(0o755)
    with (
        local_sshd(tmp_path, instead=("oscap", slow)) as target,
        connect(target, timeout_s=20) as via,
        pytest.raises(ToolError, match="did not end within"),
    ):
        collector("openscap").collect(via, Task(prepared=ready), timeout_s=5, emit=silent)

    time.sleep(6)
    test_nothing_is_left_on_the_target((Evidence(), []))


def test_the_checks_run_over_our_own_connection_in_one_batch(target: Target) -> None:
    with connect(target, timeout_s=20) as via:
        task = Task(expected=Expected(mounts={"/": ("rw",)}, kernel_arguments=("x=y",)))
        found = collector("hostfacts").collect(via, task, timeout_s=120, emit=silent)

    outcomes = {c.name: c.outcome for c in found.checks}
    assert len(outcomes) >= 25
    assert outcomes["test_storage::test_the_file_system_is_mounted_with_its_options[/]"] == "passed"
    assert outcomes["test_kernel::test_the_kernel_was_started_with[x=y]"] == "failed"
    assert outcomes["test_services::test_the_ai_environment_computes"] == "skipped"


def test_the_host_is_who_it_is(target: Target) -> None:
    with connect(target, timeout_s=20) as via:
        found = collector("host").collect(via, Task(), timeout_s=60, emit=silent).host

    assert found is not None
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found.os_id
