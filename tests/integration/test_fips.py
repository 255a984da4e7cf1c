"""What the FIPS collector asks, against a real sshd."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hardpan.events import silent
from hardpan.process import run, which
from hardpan.scanners.collect import fips
from hardpan.scanners.collect.base import Task, collector
from hardpan.scanners.fips import foreign
from hardpan.scanners.fips.judge import judge
from hardpan.scanners.fips.table import table
from hardpan.scanners.transport import Transport, connect
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def via(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transport]:
    with (
        local_sshd(tmp_path_factory.mktemp("sshd")) as target,
        connect(target, timeout_s=20) as found,
    ):
        yield found


def test_every_question_is_answered_with_its_exit_code(via: Transport) -> None:
    facts = collector("fips").collect(via, Task(), timeout_s=120, emit=silent).fips

    assert facts is not None
    assert set(facts.said) == {*fips._ASKED, "verify"}
    assert facts.said["kernel"].text.strip() == run(["uname", "-r"], timeout_s=9).stdout.strip()
    if not which("update-crypto-policies"):
        assert facts.said["policy"].rc == 127
        assert facts.said["policy_local"].rc == 127

    found = judge(facts, table(), date(2026, 11, 21))
    md5 = run(["openssl", "dgst", "-md5", "/dev/null"], timeout_s=9, ok=range(256)).returncode
    assert found.md5_refused == ("yes" if md5 else "no")
    assert found.pqc_kex
    assert found.pqc_validated != "yes"
    assert [m.state for m in found.modules] == ["unknown"] * 5


def test_a_huge_and_binary_answer_is_cut_and_keeps_its_exit_code(
    via: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"flag": "head -c 9000000 /dev/zero", "policy": "exit 3", "kex": "no-such-program"}
    monkeypatch.setattr(fips, "_ASKED", asked)

    facts = fips.FipsFacts().collect(via, Task(), timeout_s=60, emit=silent).fips

    assert facts is not None
    assert len(facts.said["flag"].text) == 32 << 10
    assert (facts.said["policy"].rc, facts.said["kex"].rc) == (3, 127)


def test_a_question_that_hangs_costs_its_own_time_and_no_other_answer(
    via: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fips, "_ASKED", {"flag": "trap '' TERM; sleep 60", "policy": "echo FIPS"})
    monkeypatch.setattr(fips, "_EACH_S", 1)

    facts = fips.FipsFacts().collect(via, Task(), timeout_s=30, emit=silent).fips

    assert facts is not None
    assert facts.said["flag"].rc == 137  # it does not hear SIGTERM, so SIGKILL ends it
    assert facts.said["policy"].text.strip() == "FIPS"


def test_cryptography_of_its_own_is_found_by_name_and_by_what_lies_in_it(
    via: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a b"
    odd.mkdir()
    (odd / "libcrypto-1f2e.so.3").write_bytes(b"x")
    (odd / "libcryptic.txt").write_bytes(b"x")
    for name, text in (("tool", b""), ("system", b"golang-fips/openssl")):
        (tmp_path / name).write_bytes(b"\xff Go buildinf:" + text + bytes(2 << 20))
        (tmp_path / name).chmod(0o755)
    here = fips._ASKED["foreign"].replace(" /opt ", f" '{tmp_path}' /opt ")
    monkeypatch.setattr(fips, "_ASKED", {"foreign": here})

    facts = fips.FipsFacts().collect(via, Task(), timeout_s=60, emit=silent).fips

    assert facts is not None
    found = {f.path: f.library for f in foreign.files(facts) if f.path.startswith(str(tmp_path))}
    assert found == {
        f"{odd}/libcrypto-1f2e.so.3": "OpenSSL",
        f"{tmp_path}/tool": "Go's own",
    }
    assert foreign.complete(facts) != "unknown"
