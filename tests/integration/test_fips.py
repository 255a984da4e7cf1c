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
from hardpan.scanners.fips.certificates import _find_signer
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.fips.model import CommandAnswer, FipsAnswers
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
    assert set(facts.answers) == {*fips.FIPS_QUESTIONS, "signers", "verify"}
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


def test_signer_of_a_package_is_read_by_rpm(tmp_path: Path) -> None:
    """A package that is signed here, because a real rpm formats the signature in its own way."""
    gpg = find_program("gpg")
    assert gpg is not None
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    environment = {"GNUPGHOME": str(home), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    generate = ["--quick-generate-key", "T <t@example.org>", "rsa2048", "sign", "never"]
    run([gpg, "--batch", "--passphrase", "", *generate], timeout_s=60, env=environment)
    listing = run([gpg, "--list-keys", "--with-colons"], timeout_s=30, env=environment).stdout
    key = next(x.split(":")[4] for x in listing.splitlines() if x.startswith("pub"))
    spec = tmp_path / "libgcrypt.spec"
    spec.write_text(
        "Name: libgcrypt\nEpoch: 3\nVersion: 1\nRelease: 1.el9\nSummary: x\nLicense: MIT\n"
        "BuildArch: noarch\n%description\nx\n%files\n"
    )
    topdir = ["--define", f"_topdir {tmp_path}"]
    run(["rpmbuild", *topdir, "-bb", spec], timeout_s=60, env=environment)
    (package,) = tmp_path.rglob("*.rpm")
    query = ["rpm", "-qp", "--qf", f"{fips._NEVRA} {fips._SIGNATURE}\n", package]
    unsigned = run(query, timeout_s=30, env=environment).stdout
    defines = ["--define", f"_gpg_name {key}", "--define", f"__gpg {gpg}"]
    run(["rpmsign", *defines, "--addsign", package], timeout_s=60, env=environment)

    signed = run(query, timeout_s=30, env=environment).stdout

    nevra = "libgcrypt-3:1-1.el9.noarch"
    assert unsigned == f"{nevra} (none)\n"
    answers = {"signers": CommandAnswer(exit_status=0, text=signed)}
    assert _find_signer(nevra, FipsAnswers(answers=answers)) == key.lower()
    run(["gpgconf", "--kill", "all"], timeout_s=30, env=environment)
