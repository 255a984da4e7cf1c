"""``hardpan scan local:`` on this machine, and the same host over the system's ssh."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.core.errors import Exit
from hardpan.core.process import CompletedProcess, run
from hardpan.scanners.collect import collection
from hardpan.scanners.collect.raw_answers import WITHHELD
from tests.content_differential.stream import (
    OVAL_SYSTEM,
    SCE_SYSTEM,
    benchmark,
    data_stream,
    definition_id,
    file_oval,
    item_id,
)
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration

PROFILE = item_id("profile", "p")


def _rule(name: str) -> str:
    return (
        f'<Rule id="{item_id("rule", name)}" selected="true" severity="high"><title>{name}</title>'
        f'<check system="{OVAL_SYSTEM}"><check-content-ref href="o" name="{definition_id(name)}"/>'
        "</check></Rule>"
    )


@pytest.fixture
def hardpan(tmp_path: Path) -> Callable[..., CompletedProcess]:
    """Run hardpan in a folder with a data stream of two rules: one passes, one fails."""
    profile = f'<Profile id="{PROFILE}"><title>p</title></Profile>'
    text = benchmark(profile + _rule("root") + _rule("absent"))
    (tmp_path / "c.xml").write_bytes(data_stream(text, {"o": file_oval(("root", "absent"))}, {}))

    def run_hardpan(*argv: object) -> CompletedProcess:
        return run(
            [sys.executable, "-m", "hardpan", *map(str, argv)],
            timeout_s=300,
            ok=(0, 1, 4),
            cwd=tmp_path,
            env={"XDG_DATA_HOME": str(tmp_path / "data")},
        )

    return run_hardpan


def _read(evidence: Path, name: str) -> Any:
    with zipfile.ZipFile(evidence) as archive:
        return json.loads(archive.read(name))


def test_this_machine_and_the_same_host_over_ssh(
    hardpan: Callable[..., CompletedProcess], tmp_path: Path
) -> None:
    options = ("--content", "c.xml", "--profile", PROFILE, "--no-smoke", "--fail-on", "none")
    hardpan("scan", "local:", *options, "-o", "local.evidence.zip")
    (tmp_path / "sshd").mkdir()
    with local_sshd(tmp_path / "sshd") as target:
        hardpan(
            *("scan", f"{target.user}@{target.host}:{target.port}", *options),
            *("--identity", target.identity, "--host-key", target.host_keys[0]),
            *("--transport", "openssh", "-o", "ssh.evidence.zip"),
        )

    policy = tmp_path / "data" / "hardpan" / "keys" / "scan-trust.yaml"
    expected = {"local": ("local", ""), "ssh": ("openssh", "--transport openssh")}
    verdicts, machines = {}, set()
    for name, transport in expected.items():
        evidence = tmp_path / f"{name}.evidence.zip"
        assert hardpan("verify", evidence, "--policy", policy).returncode == 0
        findings = _read(evidence, "findings.json")
        runner = _read(evidence, "statement.json")["predicate"]["runner"]
        assert (runner["transport"], runner["transportReason"]) == transport
        verdicts[name] = {r["ruleId"].rpartition("_")[2]: r["verdict"] for r in findings["rules"]}
        machines.add(findings["host"]["machineIdHmac"])
        trust = "local" if name == "local" else "pinned"
        assert findings["host"]["hostKeyTrust"] == trust
        answers = {a["question"]: a for a in _read(evidence, "raw/host.json")["answers"]}
        assert answers["os_release"]["output"] == Path("/etc/os-release").read_text("utf-8")
        assert answers["machine_id"]["output"] in ("", WITHHELD)
    assert verdicts["local"] == verdicts["ssh"] == {"root": "pass", "absent": "fail"}
    assert len(machines) == 1


@pytest.fixture
def slow_scan(tmp_path: Path) -> tuple[list[str], dict[str, str], Path]:
    """A scan of this machine that needs five minutes: argv, environment, and a file.

    The file gets the work folder and the process id of a script check when that runs.
    """
    rule = (
        f'<Rule id="{item_id("rule", "slow")}" selected="true"><title>slow</title>'
        f'<check system="{SCE_SYSTEM}"><check-content-ref href="slow"/></check></Rule>'
    )
    text = benchmark(f'<Profile id="{PROFILE}"><title>p</title></Profile>{rule}')
    started = tmp_path / "started"
    script = f"#!/bin/sh\npwd > {started}\necho $$ >> {started}\nsleep 300\nexit 101\n"
    (tmp_path / "c.xml").write_bytes(data_stream(text, {}, {"slow": script}))
    argv = ["scan", "local:", "--content", "c.xml", "--profile", PROFILE, "--no-smoke"]
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "XDG_DATA_HOME": str(tmp_path / "data")}
    return argv, environment, started


def _require_nothing_left(started: Path) -> None:
    folder, process_id = started.read_text().split()
    assert "hardpan-scan." in folder
    wait_until(lambda: not Path(folder).exists(), 20)
    wait_until(lambda: not Path("/proc", process_id).exists(), 20)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signal_leaves_nothing_on_this_machine(
    slow_scan: tuple[list[str], dict[str, str], Path],
    tmp_path: Path,
    signal_number: signal.Signals,
) -> None:
    """SIGKILL is what ``core.process.run`` sends at its time limit."""
    argv, environment, started = slow_scan
    # A shell that runs the tests in the background has them ignore SIGINT.
    program = ["env", "--default-signal=INT", sys.executable, "-m", "hardpan"]
    with subprocess.Popen(
        [*program, *argv],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            wait_until(lambda: started.is_file() and len(started.read_text().split()) == 2, 90)
            os.killpg(process.pid, signal_number)
            _, stderr = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    exit_status = -9 if signal_number == signal.SIGKILL else 128 + signal_number
    assert process.returncode == exit_status, stderr
    _require_nothing_left(started)


def test_time_limit_leaves_nothing_on_this_machine(
    slow_scan: tuple[list[str], dict[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv, environment, started = slow_scan
    monkeypatch.setitem(collection.TIMEOUTS_S, "openscap", 8.0)
    monkeypatch.setenv("XDG_DATA_HOME", environment["XDG_DATA_HOME"])
    monkeypatch.chdir(tmp_path)

    assert cli.run([*argv, "-o", "r.evidence.zip"]) == Exit.TOOL

    assert "did not end within the time limit" in capsys.readouterr().err
    assert [r["verdict"] for r in _read(tmp_path / "r.evidence.zip", "findings.json")["rules"]] == [
        "error"
    ]
    _require_nothing_left(started)


def wait_until(condition: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
