"""What the FIPS collector asks, against a real sshd."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hardpan.core.events import discard
from hardpan.core.process import find_program, run
from hardpan.scanners.collect import fips
from hardpan.scanners.collect.base import CollectTask, create_collector
from hardpan.scanners.fips import non_system_crypto
from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.fips.cmvp import load_table
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with (
        local_sshd(tmp_path_factory.mktemp("sshd")) as target,
        connect(target, timeout_s=20) as result,
    ):
        yield result


def test_every_question_has_an_exit_status(connection: Connection) -> None:
    facts = (
        create_collector("fips")
        .collect(connection, CollectTask(), timeout_s=120, emit=discard)
        .fips
    )

    assert facts is not None
    assert set(facts.answers) == {*fips.FIPS_QUESTIONS, "verify"}
    assert facts.answers["kernel"].text.strip() == run(["uname", "-r"], timeout_s=9).stdout.strip()
    if not find_program("update-crypto-policies"):
        assert facts.answers["policy"].exit_status == 127
        assert facts.answers["policy_local"].exit_status == 127

    state = assess_fips(facts, load_table(), date(2026, 11, 21))
    md5 = run(["openssl", "dgst", "-md5", "/dev/null"], timeout_s=9, ok=range(256)).returncode
    assert state.md5_refused == ("yes" if md5 else "no")
    assert state.pqc_kex
    assert state.pqc_validated != "yes"
    assert [m.state for m in state.modules] == ["unknown"] * 5


def test_huge_binary_answer_is_truncated_with_exit_status(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = {"flag": "head -c 9000000 /dev/zero", "policy": "exit 3", "kex": "no-such-program"}
    monkeypatch.setattr(fips, "FIPS_QUESTIONS", questions)

    facts = fips.FipsFacts().collect(connection, CollectTask(), timeout_s=60, emit=discard).fips

    assert facts is not None
    assert len(facts.answers["flag"].text) == 32 << 10
    assert (facts.answers["policy"].exit_status, facts.answers["kex"].exit_status) == (3, 127)


def test_hanging_question_does_not_affect_other_answers(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        fips, "FIPS_QUESTIONS", {"flag": "trap '' TERM; sleep 60", "policy": "echo FIPS"}
    )
    monkeypatch.setattr(fips, "_QUESTION_TIMEOUT_S", 1)

    facts = fips.FipsFacts().collect(connection, CollectTask(), timeout_s=30, emit=discard).fips

    assert facts is not None
    assert facts.answers["flag"].exit_status == 137  # it does not hear SIGTERM, so SIGKILL ends it
    assert facts.answers["policy"].text.strip() == "FIPS"


def test_non_system_crypto_is_detected_by_name_and_content(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_with_space = tmp_path / "a b"
    folder_with_space.mkdir()
    (folder_with_space / "libcrypto-1f2e.so.3").write_bytes(b"x")
    (folder_with_space / "libcryptic.txt").write_bytes(b"x")
    for name, text in (("tool", b""), ("system", b"golang-fips/openssl")):
        (tmp_path / name).write_bytes(b"\xff Go buildinf:" + text + bytes(2 << 20))
        (tmp_path / name).chmod(0o755)
    # Only these files: a search of this machine's own folders may exceed the time limit.
    question = fips.FIPS_QUESTIONS["foreign"]
    for folders in (" ".join(non_system_crypto.SEARCH_ROOTS), "/opt /usr/local /srv /home"):
        assert question.count(folders) == 1
        question = question.replace(folders, f"'{tmp_path}'")
    monkeypatch.setattr(fips, "FIPS_QUESTIONS", {"foreign": question})

    facts = fips.FipsFacts().collect(connection, CollectTask(), timeout_s=60, emit=discard).fips

    assert facts is not None
    library_by_path = {
        f.path: f.library
        for f in non_system_crypto.list_files(facts)
        if f.path.startswith(str(tmp_path))
    }
    assert library_by_path == {
        f"{folder_with_space}/libcrypto-1f2e.so.3": "OpenSSL",
        f"{tmp_path}/tool": "Go's own",
    }
    assert non_system_crypto.assess_completeness(facts) != "unknown"
