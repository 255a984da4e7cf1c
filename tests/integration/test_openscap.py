"""OpenSCAP over SSH: this machine as the target, which is no EL system."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.core.errors import InputError, ToolError
from hardpan.core.events import Event, StageProgress, discard
from hardpan.core.process import find_program
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    CollectTask,
    ExpectedState,
    create_collector,
)
from hardpan.scanners.content import datastream
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.scanners.openscap.arf.results import UnreadableArf
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from hardpan.ssh.client import connect
from hardpan.ssh.target import Target
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_sshd(tmp_path_factory.mktemp("sshd")) as result:
        yield result


@pytest.fixture(scope="module")
def prepared() -> PreparedContent:
    return prepare(datastream.find("rhel9", ContentOrigin.SHIPPED), "stig")


@pytest.fixture(scope="module")
def openscap_scan(
    target: Target, prepared: PreparedContent
) -> tuple[CollectedEvidence, list[Event]]:
    events: list[Event] = []
    with connect(target, timeout_s=20) as connection:
        task = CollectTask(prepared=prepared)
        evidence = create_collector("openscap").collect(
            connection, task, timeout_s=300, emit=events.append
        )
    return evidence, events


def test_every_part_has_an_arf(
    openscap_scan: tuple[CollectedEvidence, list[Event]], prepared: PreparedContent
) -> None:
    evidence, _ = openscap_scan

    assert sorted(evidence.files) == ["arf-0.xml", "arf-1.xml"]
    assert sum(len(a.rules) for a in evidence.arfs) > 470
    assert re.search(r"oscap\) 1\.\d+", evidence.engine)


def test_progress_is_reported_per_rule(
    openscap_scan: tuple[CollectedEvidence, list[Event]],
) -> None:
    _, events = openscap_scan
    progress_events = [e for e in events if isinstance(e, StageProgress)]

    assert len(progress_events) > 400
    assert [e.completed for e in progress_events] == list(range(1, len(progress_events) + 1))


def test_inapplicable_content_is_an_error(
    openscap_scan: tuple[CollectedEvidence, list[Event]], prepared: PreparedContent
) -> None:
    evidence, _ = openscap_scan

    with pytest.raises(InputError, match="the content does not apply to the target"):
        merge_results(
            prepared,
            EvaluatedParts(arfs=evidence.arfs),
            engine=evidence.engine,
            os_name="Debian",
            os_cpe="",
        )


def test_nothing_is_left_on_the_target(
    openscap_scan: tuple[CollectedEvidence, list[Event]],
) -> None:
    require_no_orphaned_folders()


def require_no_orphaned_folders() -> None:
    """Require that each work folder belongs to a running shell: other tests scan this machine."""
    orphaned: list[Path] = []
    for _ in range(20):
        folders = (
            folder
            for base in ("/var/lib", "/root", "/run", "/opt")
            for folder in Path(base).glob("hardpan-scan.*")
        )
        orphaned = [f for f in folders if not Path("/proc", f.name.split(".")[1]).exists()]
        if not orphaned:
            break
        time.sleep(0.5)
    assert orphaned == []


def test_missing_oscap_on_the_target_is_reported(prepared: PreparedContent, tmp_path: Path) -> None:
    with (
        local_sshd(tmp_path, replacement=("oscap", Path("/dev/null"))) as target,
        connect(target, timeout_s=20) as connection,
        pytest.raises(ToolError, match="oscap is not installed on") as caught,
    ):
        create_collector("openscap").collect(
            connection, CollectTask(prepared=prepared), timeout_s=60, emit=discard
        )

    assert "install openscap-scanner" in caught.value.hint


def test_scan_timeout_leaves_nothing_on_the_target(
    prepared: PreparedContent, tmp_path: Path
) -> None:
    real, slow = tmp_path / "real-oscap", tmp_path / "slow-oscap"
    shutil.copy2(str(find_program("oscap")), real)
    slow.write_text(f'#!/bin/sh\n[ "$1" != xccdf ] || sleep 60\nexec {real} "$@"\n')
    slow.chmod(0o755)
    with (
        local_sshd(tmp_path, replacement=("oscap", slow)) as target,
        connect(target, timeout_s=20) as connection,
    ):
        evidence = create_collector("openscap").collect(
            connection, CollectTask(prepared=prepared), timeout_s=5, emit=discard
        )

    for arf in evidence.arfs:
        assert isinstance(arf, UnreadableArf)
        assert "did not end within the time limit" in arf.reason

    require_no_orphaned_folders()


def test_host_checks_run_over_ssh_connection(target: Target) -> None:
    with connect(target, timeout_s=20) as connection:
        task = CollectTask(expected=ExpectedState(mounts={"/": ("rw",)}, kernel_arguments=("x=y",)))
        evidence = create_collector("hostfacts").collect(
            connection, task, timeout_s=120, emit=discard
        )

    outcomes = {c.name: c.outcome for c in evidence.checks}
    assert len(outcomes) >= 25
    assert outcomes["hardpan-check-mount-options._"] == "passed"
    assert outcomes["hardpan-check-kernel-argument.x_y"] == "failed"
    assert outcomes["hardpan-check-ai-python"] == "skipped"


def test_host_identity_matches_this_machine(target: Target) -> None:
    with connect(target, timeout_s=20) as connection:
        host = (
            create_collector("host")
            .collect(connection, CollectTask(), timeout_s=60, emit=discard)
            .host
        )

    assert host is not None
    assert host.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert host.os_id
