"""``hardpan scan local:`` on this machine, and the same host over the system's ssh."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardpan.core.process import CompletedProcess, run
from tests.content_differential.stream import (
    OVAL_SYSTEM,
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
    assert verdicts["local"] == verdicts["ssh"] == {"root": "pass", "absent": "fail"}
    assert len(machines) == 1
