"""The whole job with the AI service on it: hardened, in FIPS mode, and it answers."""

import json
import zipfile

import pytest

from hardpan.scanners.compatibility.conflicts import load_conflicts
from tests.integration.conftest import ProveRun

pytestmark = [pytest.mark.integration, pytest.mark.demo_ai]


def read_member(proved: ProveRun, name: str) -> dict[str, object]:
    with zipfile.ZipFile(proved.evidence) as z:
        loaded = json.loads(z.read(name))
    assert isinstance(loaded, dict)
    return loaded


def test_prove_ai_is_verified(proved_ai: ProveRun) -> None:
    assert proved_ai.returncode == 0
    assert "verdict     verified" in proved_ai.stdout


def test_service_chats_in_fips_mode(proved_ai: ProveRun) -> None:
    smoke = read_member(proved_ai, "smoke.json")
    names = [m["name"] for m in smoke["measures"]]  # type: ignore[attr-defined]

    assert read_member(proved_ai, "findings.json")["host"]["fipsKernelFlag"] is True  # type: ignore[index]
    assert smoke["verdict"] == "pass"
    assert "chat, time to first token" in names


def test_host_checks_pass(proved_ai: ProveRun) -> None:
    checks = read_member(proved_ai, "findings.json")["checks"]
    assert isinstance(checks, list)

    open_checks = [c for c in checks if c["outcome"] in ("failed", "error")]
    assert [c for c in open_checks if not c["waiver"]] == []
    # The lab's boot loader has no /boot/grub2/grub.cfg, and no vendor supports the lab.
    assert {c["name"] for c in checks if c["outcome"] == "not_checked"} <= {
        *("hardpan-check-boot-loader-files", "hardpan-check-release-supported"),
        "hardpan-check-release-support-remaining",
    }


def test_lab_proven_conflicts_pass(proved_ai: ProveRun) -> None:
    compatibility = read_member(proved_ai, "findings.json")["compatibility"]
    verdicts = {p["conflict"]: p["verdict"] for p in compatibility["results"]}  # type: ignore[index,call-overload]

    assert set(verdicts) == {c.id for c in load_conflicts()}
    proven = {c.id for c in load_conflicts() if c.proven == "lab"}
    assert {c: verdicts[c] for c in proven} == dict.fromkeys(proven, "pass")
