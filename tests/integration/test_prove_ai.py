"""The whole job with the AI service on it: hardened, in FIPS mode, and it answers."""

import json
import zipfile

import pytest

from hardpan.scanners.paired.conflicts import conflicts
from tests.integration.conftest import Proved

pytestmark = [pytest.mark.integration, pytest.mark.demo_ai]


def read(proved: Proved, name: str) -> dict[str, object]:
    with zipfile.ZipFile(proved.evidence) as z:
        loaded = json.loads(z.read(name))
    assert isinstance(loaded, dict)
    return loaded


def test_it_ends_verified(proved_ai: Proved) -> None:
    assert proved_ai.returncode == 0
    assert "verdict     verified" in proved_ai.stdout


def test_it_is_in_fips_mode_and_chats(proved_ai: Proved) -> None:
    smoke = read(proved_ai, "smoke.json")
    names = [m["name"] for m in smoke["measures"]]  # type: ignore[attr-defined]

    assert read(proved_ai, "findings.json")["host"]["fipsKernelFlag"] is True  # type: ignore[index]
    assert smoke["verdict"] == "pass"
    assert "chat, time to first token" in names


def test_every_check_of_the_running_system_passes(proved_ai: Proved) -> None:
    checks = read(proved_ai, "findings.json")["checks"]
    assert isinstance(checks, list)

    assert [c for c in checks if c["outcome"] not in ("passed", "skipped")] == []


def test_each_conflict_that_is_said_to_be_proven_here_holds_both_halves(proved_ai: Proved) -> None:
    paired = read(proved_ai, "findings.json")["paired"]
    verdicts = {p["conflict"]: p["verdict"] for p in paired["pairs"]}  # type: ignore[index,call-overload]

    assert set(verdicts) == {c.id for c in conflicts()}
    proven = {c.id for c in conflicts() if c.proven == "lab"}
    assert {c: verdicts[c] for c in proven} == dict.fromkeys(proven, "pass")
