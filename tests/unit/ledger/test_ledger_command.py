"""``hardpan ledger`` as a person types it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.core.errors import Exit
from hardpan.core.files import sha256_file
from hardpan.scanners.evidence.file_names import TEST_RESULT
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.ledger import entries, verification
from hardpan.scanners.ledger.store import open_ledger
from hardpan.scanners.model.scan import Verdict
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT, NOW, EvidenceFixture
from tests.unit.evidence.evidence_fixture import create_fixture as make_lab
from tests.unit.ledger.fixtures import tamper
from tests.unit.ledger.journal_samples import (
    build_hot_journal,
    build_super_journal_record,
    snapshot_folder,
)
from tests.unit.ledger.samples import scan_of_verdict

V = Verdict


class LedgerFixture:
    """A ledger, and evidence to put into it."""

    def __init__(self, lab: EvidenceFixture, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.path = folder / "book" / "ledger.sqlite"
        self.policy = str(lab.ring.policy)

    def run(self, *arguments: object) -> int:
        argv = [str(a) for a in arguments]
        return cli.run(["ledger", *argv, "--ledger", str(self.path)])

    def evidence(self, verdict: V, day: int) -> Path:
        folder = self.folder / f"{verdict}-{day}"
        folder.mkdir(exist_ok=True)
        timestamp = f"2026-11-{day:02}T04:05:00Z"
        sample = scan_of_verdict(verdict)
        scan = samples.scan(
            evaluation=sample.evaluation, waivers={}, started=timestamp, finished=timestamp
        )
        return samples.write_evidence(scan, self.lab.scan, folder)

    def add_forged_row(self, evidence: Path, **row: Any) -> None:
        """A row as an honest one, but for some of what it says."""
        entry = verification.load_verified_scan(evidence, load_trust_policy(Path(self.policy)))
        self.path.parent.mkdir()
        with open_ledger(self.path, write=True) as store:
            entries.add_scan(store, replace(entry, **row), NOW)

    def add(self, verdict: V, day: int, *options: str) -> int:
        return self.run("add", self.evidence(verdict, day), "--policy", self.policy, *options)


@pytest.fixture
def ledger_fixture(lab: EvidenceFixture, tmp_path: Path) -> LedgerFixture:
    return LedgerFixture(lab, tmp_path)


Capture = pytest.CaptureFixture[str]


def test_add_is_idempotent_and_prints_checkpoint(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    assert ledger_fixture.add(V.PASS, 2) == Exit.OK
    first_output = capsys.readouterr().out
    assert ledger_fixture.add(V.PASS, 2) == Exit.OK
    second_output = capsys.readouterr().out

    assert first_output.startswith(
        "added: row 1: lab, 2026-11-02T04:05:00Z, score 61.00, verified\n"
    )
    assert second_output.startswith("already in the ledger, nothing added: row 1: ")
    assert first_output.splitlines()[1] == second_output.splitlines()[1]
    assert first_output.splitlines()[1].startswith("checkpoint 1:")


def test_add_rejects_unverified_evidence(ledger_fixture: LedgerFixture, capsys: Capture) -> None:
    forged = ledger_fixture.lab.sign_payload(
        ledger_fixture.lab.read_statement(), signer=ledger_fixture.lab.build
    )

    assert ledger_fixture.run("add", forged, "--policy", ledger_fixture.policy) == Exit.TRUST
    assert not ledger_fixture.path.exists()
    assert ledger_fixture.run("add", forged) == Exit.USAGE


def test_check_exits_1_on_regression(ledger_fixture: LedgerFixture, capsys: Capture) -> None:
    ledger_fixture.add(V.PASS, 2)
    assert ledger_fixture.run("check", "lab") == Exit.OK
    assert capsys.readouterr().out.endswith("no regression: the first scan of this host\n")
    ledger_fixture.add(V.FAIL, 3)
    capsys.readouterr()

    assert ledger_fixture.run("check", "lab") == Exit.FINDINGS
    assert capsys.readouterr().out == (
        "rule r007: pass -> fail\nregressions: 1 (2026-11-02T04:05:00Z -> 2026-11-03T04:05:00Z)\n"
    )
    assert ledger_fixture.run("check", "lab", "--json") == Exit.FINDINGS
    answer = json.loads(capsys.readouterr().out)
    assert [r["baseline"] for r in answer["regressions"]] == ["pass"]
    assert ledger_fixture.run("check", "lab", "--from", "2", "--to", "1") == Exit.OK
    assert ledger_fixture.run("check", "nobody") == Exit.INPUT


def test_diff_compares_last_two_or_named_scans(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    ledger_fixture.add(V.PASS, 2)
    assert ledger_fixture.run("diff", "lab") == Exit.INPUT
    assert "expected at least two scans of it, got one" in capsys.readouterr().err
    ledger_fixture.add(V.FAIL, 3)
    ledger_fixture.add(V.FAIL, 4)
    capsys.readouterr()

    assert ledger_fixture.run("diff", "lab") == Exit.OK
    assert capsys.readouterr().out.endswith("verdict: no regression\n")
    assert ledger_fixture.run("diff", "lab", "--from", "1") == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "          row 1, verified when it was added, signed by key 'scan'\n" in out
    assert "newly failing\n  medium r007: pass -> fail" in out


def test_history_lists_scores_and_changes(ledger_fixture: LedgerFixture, capsys: Capture) -> None:
    ledger_fixture.add(V.PASS, 2)
    ledger_fixture.run("add", ledger_fixture.lab.valid_path, "--policy", ledger_fixture.policy)
    capsys.readouterr()

    assert ledger_fixture.run("history", "lab") == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "   1  2026-11-02T04:05:00Z  61.00  pass 2, fail 0; open: none"
    assert lines[1].startswith("   2  2026-11-21T04:05:00Z  61.00 (+0.00)  pass 1, fail 2")
    assert lines[1].endswith("open: 1 high")
    assert lines[2] == f"      image: none -> {samples.SHA[:12]}"
    assert ledger_fixture.run("history", samples.HOST_KEY, "--json") == Exit.OK
    rows = json.loads(capsys.readouterr().out)
    assert [r["verdict"] for r in rows] == ["verified", "thresholds exceeded"]
    assert [r["openFindings"]["high"] for r in rows] == [0, 1]


def test_list_and_expiring_output(ledger_fixture: LedgerFixture, capsys: Capture) -> None:
    ledger_fixture.run("add", ledger_fixture.lab.valid_path, "--policy", ledger_fixture.policy)
    capsys.readouterr()

    assert ledger_fixture.run("list", "--host", "la") == Exit.OK
    assert "  61.00  " in capsys.readouterr().out
    assert ledger_fixture.run("expiring", "--days", 71) == Exit.OK
    assert capsys.readouterr().out == (
        "2027-01-31  71 days left  lab  r003: needed by the build, see T-1 (build team)\n"
    )
    assert ledger_fixture.run("expiring", "--days", 70, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out) == []


def test_retained_files_are_stored_and_checked(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    evidence = ledger_fixture.evidence(V.PASS, 2)
    for _ in range(2):
        assert (
            ledger_fixture.run("add", evidence, "--policy", ledger_fixture.policy, "--keep")
            == Exit.OK
        )
    (retained,) = ledger_fixture.path.with_name("ledger.sqlite.d").iterdir()

    assert retained.read_bytes() == evidence.read_bytes()
    assert retained.stat().st_mode & 0o777 == 0o600
    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.OK
    capsys.readouterr()
    retained.write_bytes(b"other")
    assert ledger_fixture.run("verify") == Exit.TRUST
    assert "expected sha256" in capsys.readouterr().err
    retained.unlink()
    assert ledger_fixture.run("verify") == Exit.OK
    assert "-     1 retained evidence files are missing" in (capsys.readouterr().out)


def test_folder_at_retained_file_path_is_reported(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    evidence = ledger_fixture.evidence(V.PASS, 2)
    folder = ledger_fixture.path.with_name("ledger.sqlite.d")
    (folder / f"{sha256_file(evidence)}.evidence.zip").mkdir(parents=True)

    assert (
        ledger_fixture.run("add", evidence, "--policy", ledger_fixture.policy, "--keep")
        == Exit.INPUT
    )
    assert "cannot be written: Is a directory" in capsys.readouterr().err
    assert ledger_fixture.run("list") == Exit.INPUT
    assert "is empty: nothing was added to it yet" in capsys.readouterr().err


def _sparse(path: Path) -> None:
    with path.open("wb") as f:
        f.truncate(1 << 40)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: p.symlink_to("/dev/zero"), "expected a regular file"),
        (lambda p: p.symlink_to("nowhere"), "expected a regular file"),
        (os.mkfifo, "expected a regular file"),
        (lambda p: p.mkdir(), "expected a regular file"),
        (_sparse, "expected at most 536870912 bytes, got 1099511627776"),
    ],
    ids=["endless device", "link to nothing", "pipe", "folder", "sparse file"],
)
def test_irregular_retained_file_is_refused(
    ledger_fixture: LedgerFixture, capsys: Capture, make: Callable[[Path], object], problem: str
) -> None:
    assert ledger_fixture.add(V.PASS, 2, "--keep") == Exit.OK
    (retained,) = ledger_fixture.path.with_name("ledger.sqlite.d").iterdir()
    retained.unlink()
    make(retained)

    assert ledger_fixture.run("verify") == Exit.TRUST
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "code", "problem"),
    [
        (lambda p, other: p.symlink_to(other), Exit.TRUST, "expected a folder, got a symbolic"),
        (lambda p, _: p.touch(), Exit.INPUT, "cannot be created: File exists"),
    ],
    ids=["link", "file"],
)
def test_symlinked_retention_folder_is_refused(
    ledger_fixture: LedgerFixture,
    tmp_path: Path,
    capsys: Capture,
    make: Callable[..., object],
    code: Exit,
    problem: str,
) -> None:
    other, folder = tmp_path / "other", ledger_fixture.path.with_name("ledger.sqlite.d")
    other.mkdir()
    folder.parent.mkdir()
    make(folder, other)

    assert ledger_fixture.add(V.PASS, 2, "--keep") == code
    assert problem in capsys.readouterr().err
    assert not list(other.iterdir())
    assert not ledger_fixture.path.exists()


def test_verify_checks_retained_file_against_policy(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    assert (
        ledger_fixture.run(
            "add", ledger_fixture.lab.valid_path, "--policy", ledger_fixture.policy, "--keep"
        )
        == Exit.OK
    )
    capsys.readouterr()

    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.OK
    out = capsys.readouterr().out
    assert out.splitlines()[1:] == [
        "ok    trust: every statement verifies under the policy",
        "-     policy thresholds exceeded: 1 row",
    ]
    for retained in ledger_fixture.path.with_name("ledger.sqlite.d").iterdir():
        retained.unlink()
    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.OK
    assert capsys.readouterr().out.splitlines()[2] == (
        "-     not checked, not stored in the ledger: "
        "archive (1 row), files (1 row), test-result (1 row), oscal (1 row)"
    )


def test_unverified_retained_file_is_refused(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    files = ledger_fixture.lab.read_files()
    forged = ledger_fixture.lab.pack({**files, TEST_RESULT: files["evidence.sigstore.json"]})
    ledger_fixture.add_forged_row(
        ledger_fixture.lab.valid_path, evidence_sha256=sha256_file(forged)
    )
    folder = ledger_fixture.path.with_name("ledger.sqlite.d")
    folder.mkdir()
    shutil.copy(forged, folder / f"{sha256_file(forged)}.evidence.zip")

    # The file is the recorded one, and without --policy no key is checked for trust.
    assert ledger_fixture.run("verify") == Exit.OK
    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.TRUST
    assert "test-result: the test-result statement is not the one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"signer_sha256": "0" * 64}, "row 1: is signed by another key than the row says"),
        ({"findings_sha256": "0" * 64}, "row 1: disagrees with its statement: findings"),
    ],
)
def test_row_that_contradicts_statement_is_refused(
    ledger_fixture: LedgerFixture,
    tmp_path: Path,
    capsys: Capture,
    row: dict[str, str],
    problem: str,
) -> None:
    ledger_fixture.add_forged_row(ledger_fixture.lab.valid_path, **row)
    file, destination = (
        tmp_path / "chain.jsonl",
        LedgerFixture(ledger_fixture.lab, tmp_path / "there"),
    )
    assert ledger_fixture.run("export", file) == Exit.OK

    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.TRUST
    assert problem in capsys.readouterr().err
    assert destination.run("import", file, "--policy", ledger_fixture.policy) == Exit.TRUST
    assert problem in capsys.readouterr().err


def test_retained_file_of_other_scan_is_refused(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    other = ledger_fixture.evidence(V.PASS, 2)
    ledger_fixture.add_forged_row(ledger_fixture.lab.valid_path, evidence_sha256=sha256_file(other))
    folder = ledger_fixture.path.with_name("ledger.sqlite.d")
    folder.mkdir()
    shutil.copy(other, folder / f"{sha256_file(other)}.evidence.zip")

    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.TRUST
    assert "row 1: the stored file is the evidence of another scan" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["packages.txt", "statement.json"])
def test_evidence_changed_during_add_is_refused(
    ledger_fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch, capsys: Capture, name: str
) -> None:
    evidence, verify = ledger_fixture.evidence(V.PASS, 2), verification.verify
    other = ledger_fixture.evidence(V.FAIL, 3)

    def verify_then_swap(path: Path, trust: Any, **more: Any) -> Any:
        verified = verify(path, trust, **more)
        if name == "statement.json":
            shutil.copy(other, path)
        else:
            ledger_fixture.lab.pack({**ledger_fixture.lab.read_files(), name: b"other\n"}).replace(
                path
            )
        return verified

    monkeypatch.setattr(verification, "verify", verify_then_swap)

    assert ledger_fixture.run("add", evidence, "--policy", ledger_fixture.policy) == Exit.TRUST
    assert not ledger_fixture.path.exists()
    assert "changed while it was read" in capsys.readouterr().err


def test_row_without_stored_proofs_is_not_checked(
    ledger_fixture: LedgerFixture, capsys: Capture
) -> None:
    ledger_fixture.add_forged_row(ledger_fixture.lab.valid_path, signature_files={})

    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["notChecked"] == dict.fromkeys(
        ("archive", "files", "test-result", "oscal", "provenance"), 1
    )


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM blob WHERE sha256 = (SELECT bundle_sha256 FROM entry)", "bundle: is missing"),
        ("UPDATE blob SET bytes = x'00'", "was changed: its digest does not match"),
        ("INSERT INTO blob VALUES ('ab', x'00')", "contains a blob that no row references: ab"),
    ],
)
def test_verify_reads_all_blobs(
    ledger_fixture: LedgerFixture, capsys: Capture, statement: str, problem: str
) -> None:
    ledger_fixture.add(V.PASS, 2)
    tamper(ledger_fixture.path, statement)

    assert ledger_fixture.run("list") == Exit.OK
    assert ledger_fixture.run("verify") == Exit.TRUST
    assert problem in capsys.readouterr().err


def test_verify_uses_only_keys_of_the_policy(
    ledger_fixture: LedgerFixture, tmp_path: Path, capsys: Capture
) -> None:
    ledger_fixture.add(V.PASS, 2)
    (tmp_path / "other").mkdir()
    other = make_lab(tmp_path / "other")
    early = tmp_path / "early.yaml"
    base = ledger_fixture.lab.ring.policy.read_text()
    day = KEYS_CREATED_AT.strftime("%Y-%m-%d")
    assert day in base
    early.write_text(base.replace(day, "2026-11-20"))
    for key in ledger_fixture.lab.ring.policy.parent.glob("*.pub"):
        (tmp_path / key.name).write_bytes(key.read_bytes())
    capsys.readouterr()

    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["signatures"] == "checked"
    assert ledger_fixture.run("verify", "--policy", other.ring.policy) == Exit.TRUST
    assert ledger_fixture.run("verify", "--policy", early) == Exit.TRUST
    assert "is not trusted for 2026-11-02T04:05:00Z" in capsys.readouterr().err


def test_checkpoint_detects_truncation(ledger_fixture: LedgerFixture, capsys: Capture) -> None:
    ledger_fixture.add(V.PASS, 2)
    ledger_fixture.add(V.PASS, 3)
    capsys.readouterr()
    ledger_fixture.run("checkpoint")
    checkpoint = capsys.readouterr().out.strip()
    ledger_fixture.add(V.PASS, 4)

    assert ledger_fixture.run("list", "--expect-checkpoint", checkpoint) == Exit.OK
    tamper(ledger_fixture.path, "DELETE FROM entry WHERE seq > 1")
    assert ledger_fixture.run("list") == Exit.OK  # nothing shows without it
    assert ledger_fixture.run("list", "--expect-checkpoint", checkpoint) == Exit.TRUST
    assert ledger_fixture.add(V.FAIL, 5, "--expect-checkpoint", checkpoint) == Exit.TRUST
    assert ledger_fixture.run("list", "--expect-checkpoint", "2") == Exit.INPUT
    assert (
        ledger_fixture.run("list", "--expect-checkpoint", checkpoint.replace("2:", "office=2:"))
        == Exit.TRUST
    )


def test_chain_is_exported_and_imported(
    ledger_fixture: LedgerFixture, lab: EvidenceFixture, tmp_path: Path, capsys: Capture
) -> None:
    ledger_fixture.add(V.PASS, 2)
    ledger_fixture.add(V.FAIL, 3)
    file = tmp_path / "chain.jsonl"
    assert ledger_fixture.run("export", file) == Exit.OK
    assert ledger_fixture.run("export", file, "--chain", "x") == Exit.INPUT
    (tmp_path / "there").mkdir()
    destination = LedgerFixture(lab, tmp_path / "there")
    destination.add(V.PASS, 4)
    (tmp_path / "other").mkdir()
    other_policy = make_lab(tmp_path / "other").ring.policy
    capsys.readouterr()

    assert destination.run("import", file, "--policy", other_policy) == Exit.TRUST
    assert (
        destination.run("import", file, "--policy", destination.policy, "--as", "office") == Exit.OK
    )
    assert capsys.readouterr().out.startswith("chain office: 2 new, 2 rows\ncheckpoint 2:")
    assert destination.run("check", "lab", "--to", "1") == Exit.OK  # fail, then pass
    assert destination.run("verify", "--policy", destination.policy) == Exit.OK
    assert destination.run("checkpoint") == Exit.OK
    local_line, office_line = capsys.readouterr().out.splitlines()[-2:]
    assert local_line.startswith("1:")
    assert office_line.startswith("office=2:")


READERS = (
    ("list",),
    ("history", "lab"),
    ("diff", "lab"),
    ("check", "lab"),
    ("expiring",),
    ("verify",),
    ("checkpoint",),
    ("export", "chain.jsonl"),
)


@pytest.mark.parametrize("argv", [*READERS, ("add",), ("import",)], ids=lambda w: w[0])
def test_no_command_deletes_file_named_by_super_journal(
    ledger_fixture: LedgerFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    argv: tuple[str],
) -> None:
    ledger_fixture.add(V.PASS, 2)
    ledger_fixture.add(V.PASS, 3)
    monkeypatch.chdir(tmp_path)
    assert ledger_fixture.run("export", "before.jsonl") == Exit.OK
    extra_arguments: dict[str, list[object]] = {
        "add": [ledger_fixture.evidence(V.FAIL, 4), "--policy", ledger_fixture.policy],
        "import": ["before.jsonl", "--policy", ledger_fixture.policy],
    }
    victim = tmp_path / "victim.txt"
    victim.write_text("not hardpan's")
    journal = ledger_fixture.path.with_name("ledger.sqlite-journal")
    journal.write_bytes(
        build_hot_journal(ledger_fixture.path) + build_super_journal_record(str(victim))
    )
    before = snapshot_folder(ledger_fixture.path.parent)
    capsys.readouterr()

    assert ledger_fixture.run(*argv, *extra_arguments.get(argv[0], [])) == Exit.TRUST
    captured = capsys.readouterr()
    assert "ledger.sqlite-journal: names a super-journal" in captured.err
    assert captured.out == ""
    assert victim.exists()
    assert snapshot_folder(ledger_fixture.path.parent) == before
    assert not (tmp_path / "chain.jsonl").exists()


@pytest.mark.parametrize("argv", READERS, ids=lambda w: w[0])
def test_every_reader_reports_hot_journal(
    ledger_fixture: LedgerFixture,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    argv: tuple[str],
) -> None:
    ledger_fixture.add(V.PASS, 2)
    ledger_fixture.add(V.PASS, 3)
    monkeypatch.chdir(ledger_fixture.folder)
    ledger_fixture.path.with_name("ledger.sqlite-journal").write_bytes(
        build_hot_journal(ledger_fixture.path)
    )
    before = snapshot_folder(ledger_fixture.path.parent)
    capsys.readouterr()

    assert ledger_fixture.run(*argv) == Exit.INPUT
    assert "hint: 'hardpan ledger add' rolls it back" in capsys.readouterr().err
    assert snapshot_folder(ledger_fixture.path.parent) == before
    assert ledger_fixture.add(V.FAIL, 4) == Exit.OK
    assert ledger_fixture.run("verify", "--policy", ledger_fixture.policy) == Exit.OK


def test_insecure_permissions_are_reported(ledger_fixture: LedgerFixture, capsys: Capture) -> None:
    ledger_fixture.add(V.PASS, 2)
    capsys.readouterr()
    assert ledger_fixture.run("list") == Exit.OK
    assert capsys.readouterr().err == ""
    ledger_fixture.path.chmod(0o666)
    ledger_fixture.path.parent.chmod(0o777)
    assert ledger_fixture.run("list") == Exit.OK
    stderr = capsys.readouterr().err

    assert "group or others may write to it; chmod 600 fixes it" in stderr
    assert "everyone may read which findings are open" in stderr
    assert "group or others may replace the ledger in it" in stderr
    ledger_fixture.path.parent.chmod(0o700)


@pytest.mark.parametrize(("state", "used"), [("xdg", True), ("", False), ("relative", False)])
def test_default_ledger_path_is_in_state_folder(
    ledger_fixture: LedgerFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    used: bool,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg") if used else state)
    evidence = str(ledger_fixture.evidence(V.PASS, 2))
    folder = tmp_path / ("xdg" if used else "home/.local/state")

    assert cli.run(["ledger", "add", evidence, "--policy", ledger_fixture.policy]) == Exit.OK
    assert (folder / "hardpan" / "ledger.sqlite").is_file()
