"""Damaged answers of a target to each collector: refused or read, never a crash."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hardpan.core.errors import ToolError
from hardpan.core.events import discard
from hardpan.scanners.collect import chat, compatibility, smoke
from hardpan.scanners.collect.base import CollectTask, ExpectedState, create_collector
from hardpan.scanners.collect.check_registry import load_registry
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.host_signature import sign_with_host_key
from hardpan.scanners.collect.hostfacts import SshBackend
from hardpan.scanners.collect.openscap_results import unpack_results
from hardpan.scanners.compatibility.conflicts import load_conflicts
from hardpan.scanners.compatibility.outcomes import combine_outcomes
from hardpan.scanners.fips.assess import assess_fips as assess_fips
from hardpan.scanners.fips.cmvp import load_table
from hardpan.ssh.command import CommandOutput
from hardpan.ssh.connection import Connection, HostKey
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.collect import test_chat, test_collect, test_platform_checks, test_smoke
from tests.unit.fips.samples import ANSWERS

_MARK = "@@mark"
_PLATFORM_CHECKS = {c.id for c in load_registry().checks if c.scope == "host"}
_COMMANDS = [q.command_line for q in queries.list_queries(ExpectedState(build_user="steward"))]
_PIECES = (
    *(bytes([c]) for c in b"{}[]:,\"'\\ \n\0\xff-0"),
    f"{_MARK} begin flag\n".encode(),
    f"{_MARK} begin os_release\n".encode(),
    f"{_MARK} begin 0\n".encode(),
    f"{_MARK} end flag 0\n".encode(),
    f"{_MARK} end 0 999\n".encode(),
    _MARK.encode(),
    b"9" * 5000,
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"null",
    b"[" * 200,
    b"bash-0:5.2-1.x86_64\n",
    b"satisfied",
    "\u0663\u202e\x85".encode(),
)


def _batch(answers: dict[str, str]) -> bytes:
    return "".join(
        f"{_MARK} begin {name}\n{text}\n{_MARK} end {name} 0\n" for name, text in answers.items()
    ).encode()


def _platform_answers() -> dict[str, str]:
    """Return answers of a host that passes most checks, by the number of their command."""
    text_by_query = {
        queries.OS_RELEASE: test_platform_checks.EL9,
        queries.FIPS: "1\n",
        queries.CMDLINE: "ro fips=1 lockdown=integrity module.sig_enforce=1\n",
        queries.SSHD: test_platform_checks.SSHD_EL10,
        queries.SSH_KEX: test_platform_checks.KEX_DEBIAN12,
        queries.LOCKDOWN: "none [integrity] confidentiality\n",
        queries.TAINTED: "0\n",
    }
    return {str(n): text_by_query.get(q, "1\n") for n, q in enumerate(queries.PLATFORM_QUERIES)}


def _conflicts() -> bytes:
    half = {"control": ["satisfied", "x"], "workload": ["satisfied", "x"]}
    return json.dumps(
        {"confinement": "c", "conflicts": {c.id: half for c in load_conflicts()[:4]}}
    ).encode()


SAMPLES: dict[str, bytes] = {
    "host": _batch(test_collect.ANSWERS),
    "fips": _batch(ANSWERS),
    "hostfacts": _batch({str(n): "0 x\n" for n in range(len(_COMMANDS))}),
    "platform": _batch(_platform_answers()),
    "packages": b"acl-0:2.3-1.x86_64\nbash-0:5.2-1.x86_64\ngpg-pubkey-0:1-1.(none)\n",
    "smoke": test_smoke.smoke_output(),
    "chat": json.dumps(test_chat.chat_output()).encode(),
    "compatibility": _conflicts(),
    "proof": b"-----BEGIN SSH SIGNATURE-----\neA==\n-----END SSH SIGNATURE-----\n",
    "oscap": test_collect.pack_results(arf0__xml__gz=b"x" * 600),
}


def target(folder: Path) -> FuzzTarget:
    """Each input is a collector and its answer."""
    return FuzzTarget(name="host_answers", inputs=damaged_answers(), check=_check)


@st.composite
def damaged_answers(draw: DrawFn) -> tuple[str, bytes]:
    """A collector and a damaged answer of its own, or of another."""
    name = draw(st.sampled_from(sorted(SAMPLES)))
    samples = [SAMPLES[name], SAMPLES[name], draw(st.sampled_from(sorted(SAMPLES.values())))]
    return name, draw(mutate_samples(samples, _PIECES))


def _check(value: tuple[str, bytes]) -> str:
    name, data = value
    read = _READERS.get(name) or _collector_reader(name)
    read(data)
    return "read"


def _connection(data: bytes) -> Connection:
    def run(command: Sequence[str] | str, **_: object) -> CommandOutput:
        match = re.search(r"echo '([^']+)' begin", str(command))
        mark = match[1] if match else _MARK
        return CommandOutput(
            exit_status=0, data=data.replace(_MARK.encode(), mark.encode()), stderr="", duration_s=0
        )

    key = HostKey(kind="ssh-ed25519", fingerprint="SHA256:" + "A" * 43, trust="pinned")
    return cast(Connection, SimpleNamespace(run=run, host_key=key, target="target"))


def _collector_reader(name: str) -> Callable[[bytes], Any]:
    def read(data: bytes) -> None:
        evidence = create_collector(name).collect(
            _connection(data), CollectTask(), timeout_s=9, emit=discard
        )
        if name == "platform":
            assert {c.name for c in evidence.checks} == _PLATFORM_CHECKS
            assert all(c.message.isprintable() and len(c.message) < 5000 for c in evidence.checks)
        if evidence.fips is not None:
            state = assess_fips(evidence.fips, load_table(), date(2026, 6, 1))
            assert state.kernel_fips_flag != "on" or b"1" in data
        assert all(p.isprintable() and p.isascii() for p in evidence.packages)
        if evidence.host is not None:
            assert evidence.host.os_id.isprintable()

    return read


def _facts(data: bytes) -> None:
    backend = SshBackend(_connection(data), timeout_s=9)
    backend.prefetch(_COMMANDS)
    unread = 0
    for command in _COMMANDS:
        try:
            backend.run(command)
        except ToolError:
            unread += 1
    if unread:
        raise ToolError(["answers"], f"{unread} refused")


def _compatibility(data: bytes) -> None:
    for pair in compatibility.parse_report(data, load_conflicts()).results:
        assert pair.verdict == combine_outcomes(pair.control.outcome, pair.workload.outcome)
        assert pair.verdict != "pass" or b"satisfied" in data


def _proof(data: bytes) -> None:
    signature = sign_with_host_key(_connection(data), b"x", namespace="n", timeout_s=9)
    assert signature.startswith(b"-----BEGIN SSH SIGNATURE-----")


def _archive(data: bytes) -> None:
    try:
        unpack_results(data, 1)
    except ValueError as e:
        raise ToolError(["archive"], "refused") from e


_READERS: dict[str, Callable[[bytes], Any]] = {
    "hostfacts": _facts,
    "smoke": smoke.evaluate_output,
    "chat": lambda data: chat.evaluate_output(data, test_chat.SERVER),
    "compatibility": _compatibility,
    "proof": _proof,
    "oscap": _archive,
}
