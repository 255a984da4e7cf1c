"""hardpan connects if and only if ``ssh -o StrictHostKeyChecking=yes`` does, for the same cause."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError
from hardpan.core.process import run
from hardpan.ssh.target import parse_target
from hardpan.ssh.transport_kind import TransportKind
from hardpan.ssh.transports import open_connection
from tests.integration.ssh_cases import Case, CaseWriter
from tests.integration.ssh_world import World, build_world

pytestmark = pytest.mark.integration

CASE_COUNT = int(os.environ.get("HARDPAN_SSH_CASES", "60"))
WORKERS = 4
"""Most of a connection is waiting."""

FIRST_SEED = int(os.environ.get("HARDPAN_SSH_SEED", "0"))

SSH_CAUSES = {
    "connected": r"^connected$",
    "revoked": r"REVOKED HOST KEY|revoked by file|in revoked keys file",
    "changed": r"HOST IDENTIFICATION HAS CHANGED|not permitted by HostkeyAlgorithms",
    "unknown": r"host key is known for",
    "command": r"KnownHostsCommand failed",
    "login": r"Permission denied|Too many authentication failures",
    "unreachable": r"no matching|Connection closed|Connection reset",
}
HARDPAN_CAUSES = {
    "connected": r"^connected$",
    "revoked": r"the host key is revoked|RevokedHostKeys .* cannot be checked",
    "changed": r"the host key is not the expected one",
    "unknown": r"unknown host key",
    "command": r"KnownHostsCommand failed",
    "login": r"login failed|closed the connection during the login, after",
    "unreachable": r"closed the connection|nothing in common|no algorithm|ProxyCommand|no matching",
}


def find_cause(text: str, causes: dict[str, str]) -> str:
    return next(
        (name for name, p in causes.items() if re.search(p, text, re.MULTILINE)), f"?: {text}"
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    Path("/run/sshd").mkdir(exist_ok=True)
    with build_world(tmp_path_factory.mktemp("world")) as result:
        yield result


def run_ssh(case: Case) -> str:
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    argv = ["ssh", "-F", str(case.config), *options, "root@web", "echo connected"]
    result = run(argv, timeout_s=60, ok=(0, 1, 255))
    return find_cause("connected" if result.returncode == 0 else result.stderr, SSH_CAUSES)


def run_hardpan(case: Case, transport: TransportKind) -> str:
    try:
        target = parse_target("root@web", ssh_config=case.config)
        with open_connection(target, timeout_s=30, transport=transport) as connection:
            text = connection.run("echo connected", timeout_s=30).stdout.strip()
    except HardpanError as e:
        text = str(e)
    return find_cause(text, HARDPAN_CAUSES)


@pytest.mark.parametrize(
    ("transport", "case_count"),
    [(TransportKind.AUTO, CASE_COUNT), (TransportKind.OPENSSH, CASE_COUNT // 4)],
)
def test_hardpan_connects_exactly_when_ssh_does(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    transport: TransportKind,
    case_count: int,
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    seeds = range(FIRST_SEED, FIRST_SEED + case_count)
    cases = [CaseWriter(world, tmp_path / f"{seed}", seed).write() for seed in seeds]
    with ThreadPoolExecutor(WORKERS) as executor:
        expected = list(executor.map(run_ssh, cases))
        results = list(executor.map(lambda case: run_hardpan(case, transport), cases))
    differences = [
        f"{case.folder.name}: ssh: {cause}; hardpan: {result}; {case.description}"
        for case, cause, result in zip(cases, expected, results, strict=True)
        if result != cause
    ]

    assert differences == []
    assert expected.count("connected") >= case_count // 8
    assert {"login", "unknown", "changed"} <= set(expected)
