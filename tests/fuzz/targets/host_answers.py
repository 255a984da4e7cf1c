"""Damaged answers of a target to each collector: refused or read, never a crash."""

import json
import re
import tarfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hardpan.errors import ToolError
from hardpan.events import silent
from hardpan.scanners.call import Output
from hardpan.scanners.collect import paired, serving, smoke
from hardpan.scanners.collect.base import Expected, Task, collector
from hardpan.scanners.collect.checks import asked
from hardpan.scanners.collect.hostfacts import OverTransport
from hardpan.scanners.collect.hostproof import signed_by_host
from hardpan.scanners.collect.openscap import unpack
from hardpan.scanners.fips.judge import judge as judge_fips
from hardpan.scanners.fips.table import table
from hardpan.scanners.paired.conflicts import conflicts
from hardpan.scanners.paired.verdict import weighed
from hardpan.scanners.transport import HostKey, Transport
from tests.fuzz.target import FuzzTarget, mutated
from tests.unit.collect import test_collect
from tests.unit.fips.told import ANSWERS
from tests.unit.smoke import test_serving, test_smoke

_MARK = "@@mark"
_COMMANDS = asked.commands(Expected(build_user="steward"))
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
    b"holds",
    "\u0663\u202e\x85".encode(),
)


def _batch(answers: dict[str, str]) -> bytes:
    return "".join(
        f"{_MARK} begin {name}\n{text}\n{_MARK} end {name} 0\n" for name, text in answers.items()
    ).encode()


def _conflicts() -> bytes:
    half = {"control": ["holds", "x"], "action": ["holds", "x"]}
    return json.dumps(
        {"confinement": "c", "halves": {c.id: half for c in conflicts()[:4]}}
    ).encode()


SAMPLES: dict[str, bytes] = {
    "host": _batch(test_collect.SAID),
    "fips": _batch(ANSWERS),
    "hostfacts": _batch({str(n): "0 x\n" for n in range(len(_COMMANDS))}),
    "packages": b"acl-0:2.3-1.x86_64\nbash-0:5.2-1.x86_64\ngpg-pubkey-0:1-1.(none)\n",
    "smoke": test_smoke.told(),
    "chat": json.dumps(test_serving.told()).encode(),
    "paired": _conflicts(),
    "proof": b"-----BEGIN SSH SIGNATURE-----\neA==\n-----END SSH SIGNATURE-----\n",
    "oscap": test_collect.sent(arf0__xml__gz=b"x" * 600),
}


def target(folder: Path) -> FuzzTarget:
    """Each input is a collector and its answer."""
    return FuzzTarget(name="host_answers", inputs=answered(), judge=_judge)


@st.composite
def answered(draw: DrawFn) -> tuple[str, bytes]:
    """A collector and a damaged answer of its own, or of another."""
    name = draw(st.sampled_from(sorted(SAMPLES)))
    samples = [SAMPLES[name], SAMPLES[name], draw(st.sampled_from(sorted(SAMPLES.values())))]
    return name, draw(mutated(samples, _PIECES))


def _judge(given: tuple[str, bytes]) -> str:
    name, data = given
    read = _READERS.get(name) or _collected(name)
    read(data)
    return "read"


def _via(data: bytes) -> Transport:
    def run(command: Sequence[str] | str, **_: object) -> Output:
        found = re.search(r"echo '([^']+)' begin", str(command))
        mark = found[1] if found else _MARK
        return Output(rc=0, data=data.replace(_MARK.encode(), mark.encode()), stderr="", took_s=0)

    key = HostKey(kind="ssh-ed25519", fingerprint="SHA256:" + "A" * 43, trust="pinned")
    return cast(Transport, SimpleNamespace(run=run, host_key=key, target="target"))


def _collected(name: str) -> Callable[[bytes], Any]:
    def read(data: bytes) -> None:
        found = collector(name).collect(_via(data), Task(), timeout_s=9, emit=silent)
        if found.fips is not None:
            state = judge_fips(found.fips, table(), date(2026, 6, 1))
            assert state.kernel_fips_flag != "on" or b"1" in data
        assert all(p.isprintable() and p.isascii() for p in found.packages)
        if found.host is not None:
            assert found.host.os_id.isprintable()

    return read


def _facts(data: bytes) -> None:
    backend = OverTransport(_via(data), timeout_s=9)
    backend.ask_ahead(_COMMANDS)
    unread = 0
    for command in _COMMANDS:
        try:
            backend.run(command)
        except ToolError:
            unread += 1
    if unread:
        raise ToolError(["answers"], f"{unread} refused")


def _paired(data: bytes) -> None:
    for pair in paired.judged(data, conflicts()).pairs:
        assert pair.verdict == weighed(pair.control.outcome, pair.action.outcome)
        assert pair.verdict != "pass" or b"holds" in data


def _proof(data: bytes) -> None:
    if not signed_by_host(_via(data), b"x", namespace="n", timeout_s=9):
        raise ToolError(["proof"], "none")


def _archive(data: bytes) -> None:
    try:
        unpack(data, 1)
    except (tarfile.TarError, ValueError) as e:
        raise ToolError(["archive"], "refused") from e


_READERS: dict[str, Callable[[bytes], Any]] = {
    "hostfacts": _facts,
    "smoke": smoke.judged,
    "chat": lambda data: serving.judged(data, test_serving.SERVER),
    "paired": _paired,
    "proof": _proof,
    "oscap": _archive,
}
