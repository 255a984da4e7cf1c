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
from hardpan.errors import Exit
from hardpan.files import sha256_file
from hardpan.scanners.commands import vouched
from hardpan.scanners.evidence.bindings import TEST_RESULT
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.history import ledger
from hardpan.scanners.history.store import opened
from hardpan.scanners.model import Verdict
from tests.unit.evidence import samples
from tests.unit.evidence.forge import KEYS_MADE, NOW, Lab
from tests.unit.evidence.forge import lab as make_lab
from tests.unit.history.books import tamper
from tests.unit.history.journals import content, plain, super_journal_record
from tests.unit.history.scans import of_verdict

V = Verdict


class Book:
    """A ledger, and evidence to put into it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.path = folder / "book" / "ledger.sqlite"
        self.policy = str(lab.ring.policy)

    def run(self, *arguments: object) -> int:
        words = [str(a) for a in arguments]
        return cli.run(["ledger", *words, "--ledger", str(self.path)])

    def evidence(self, verdict: V, day: int) -> Path:
        folder = self.folder / f"{verdict}-{day}"
        folder.mkdir(exist_ok=True)
        when = f"2026-11-{day:02}T04:05:00Z"
        made = of_verdict(verdict)
        scan = samples.scan(evaluation=made.evaluation, waivers={}, started=when, finished=when)
        return samples.write(scan, self.lab.scan, folder)

    def forged(self, evidence: Path, **row: Any) -> None:
        """A row as an honest one, but for some of what it says."""
        entry = vouched.entry(evidence, load_policy(Path(self.policy)))
        self.path.parent.mkdir()
        with opened(self.path, write=True) as store:
            ledger.add(store, replace(entry, **row), NOW)

    def add(self, verdict: V, day: int, *more: str) -> int:
        return self.run("add", self.evidence(verdict, day), "--policy", self.policy, *more)


@pytest.fixture
def book(lab: Lab, tmp_path: Path) -> Book:
    return Book(lab, tmp_path)


Said = pytest.CaptureFixture[str]


def test_evidence_is_added_once_and_the_head_is_told(book: Book, capsys: Said) -> None:
    assert book.add(V.PASS, 2) == Exit.DONE
    added = capsys.readouterr().out
    assert book.add(V.PASS, 2) == Exit.DONE
    again = capsys.readouterr().out

    assert added.startswith("added: row 1: lab, 2026-11-02T04:05:00Z, score 61.00, verified\n")
    assert again.startswith("already there, nothing added: row 1: ")
    assert added.splitlines()[1] == again.splitlines()[1]
    assert added.splitlines()[1].startswith("head 1:")


def test_nothing_enters_that_does_not_verify(book: Book, capsys: Said) -> None:
    forged = book.lab.signed(book.lab.statement(), signer=book.lab.build)

    assert book.run("add", forged, "--policy", book.policy) == Exit.TRUST
    assert not book.path.exists()
    assert book.run("add", forged) == Exit.USAGE


def test_check_is_for_ci(book: Book, capsys: Said) -> None:
    book.add(V.PASS, 2)
    assert book.run("check", "lab") == Exit.DONE
    assert capsys.readouterr().out.endswith("no regression: the first scan of this host\n")
    book.add(V.FAIL, 3)
    capsys.readouterr()

    assert book.run("check", "lab") == Exit.FINDINGS
    assert capsys.readouterr().out == (
        "rule r007: pass -> fail\nregressions: 1 (2026-11-02T04:05:00Z -> 2026-11-03T04:05:00Z)\n"
    )
    assert book.run("check", "lab", "--json") == Exit.FINDINGS
    answer = json.loads(capsys.readouterr().out)
    assert [r["old"] for r in answer["regressions"]] == ["pass"]
    assert book.run("check", "lab", "--from", "2", "--to", "1") == Exit.DONE
    assert book.run("check", "nobody") == Exit.INPUT


def test_diff_shows_the_last_two_or_those_that_are_named(book: Book, capsys: Said) -> None:
    book.add(V.PASS, 2)
    assert book.run("diff", "lab") == Exit.INPUT
    assert "there is one scan of it, two are needed" in capsys.readouterr().err
    book.add(V.FAIL, 3)
    book.add(V.FAIL, 4)
    capsys.readouterr()

    assert book.run("diff", "lab") == Exit.DONE
    assert capsys.readouterr().out.endswith("verdict: no regression\n")
    assert book.run("diff", "lab", "--from", "1") == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "     row 1, verified when it was added, signed by key 'scan'\n" in out
    assert "newly failing\n  medium r007: pass -> fail" in out


def test_history_tells_scores_and_what_changed_with_them(book: Book, capsys: Said) -> None:
    book.add(V.PASS, 2)
    book.run("add", book.lab.good, "--policy", book.policy)
    capsys.readouterr()

    assert book.run("history", "lab") == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "   1  2026-11-02T04:05:00Z  61.00  pass 2, fail 0; open: none"
    assert lines[1].startswith("   2  2026-11-21T04:05:00Z  61.00 (+0.00)  pass 1, fail 2")
    assert lines[1].endswith("open: 1 high")
    assert lines[2] == f"      image: none -> {samples.SHA[:12]}"
    assert book.run("history", samples.HOST_KEY, "--json") == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert [r["verdict"] for r in told] == ["verified", "over the limits"]
    assert [r["openFindings"]["high"] for r in told] == [0, 1]


def test_list_and_expiring(book: Book, capsys: Said) -> None:
    book.run("add", book.lab.good, "--policy", book.policy)
    capsys.readouterr()

    assert book.run("list", "--host", "la") == Exit.DONE
    assert "  61.00  " in capsys.readouterr().out
    assert book.run("expiring", "--days", 71) == Exit.DONE
    assert capsys.readouterr().out == (
        "2027-01-31  71 days left  lab  r003: needed by the build, see T-1 (build team)\n"
    )
    assert book.run("expiring", "--days", 70, "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out) == []


def test_kept_files_lie_beside_the_ledger_and_are_checked(book: Book, capsys: Said) -> None:
    evidence = book.evidence(V.PASS, 2)
    for _ in range(2):
        assert book.run("add", evidence, "--policy", book.policy, "--keep") == Exit.DONE
    (kept,) = book.path.with_name("ledger.sqlite.d").iterdir()

    assert kept.read_bytes() == evidence.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert book.run("verify", "--policy", book.policy) == Exit.DONE
    capsys.readouterr()
    kept.write_bytes(b"other")
    assert book.run("verify") == Exit.TRUST
    assert "expected sha256" in capsys.readouterr().err
    kept.unlink()
    assert book.run("verify") == Exit.DONE
    assert "-     1 kept evidence files are not beside the ledger any more" in (
        capsys.readouterr().out
    )


def test_a_folder_in_the_place_of_a_kept_file_is_reported(book: Book, capsys: Said) -> None:
    evidence = book.evidence(V.PASS, 2)
    folder = book.path.with_name("ledger.sqlite.d")
    (folder / f"{sha256_file(evidence)}.evidence.zip").mkdir(parents=True)

    assert book.run("add", evidence, "--policy", book.policy, "--keep") == Exit.INPUT
    assert "cannot be written: Is a directory" in capsys.readouterr().err
    assert book.run("list") == Exit.INPUT
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
        (_sparse, "expected at most 536870912 bytes, found 1099511627776"),
    ],
    ids=["endless device", "link to nothing", "pipe", "folder", "sparse file"],
)
def test_kept_file_that_never_ends_is_refused(
    book: Book, capsys: Said, make: Callable[[Path], object], problem: str
) -> None:
    assert book.add(V.PASS, 2, "--keep") == Exit.DONE
    (kept,) = book.path.with_name("ledger.sqlite.d").iterdir()
    kept.unlink()
    make(kept)

    assert book.run("verify") == Exit.TRUST
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "code", "problem"),
    [
        (lambda p, other: p.symlink_to(other), Exit.TRUST, "expected a folder, found a symbolic"),
        (lambda p, _: p.touch(), Exit.INPUT, "cannot be made: File exists"),
    ],
    ids=["link", "file"],
)
def test_evidence_is_kept_in_no_other_folder(
    book: Book, tmp_path: Path, capsys: Said, make: Callable[..., object], code: Exit, problem: str
) -> None:
    other, folder = tmp_path / "other", book.path.with_name("ledger.sqlite.d")
    other.mkdir()
    folder.parent.mkdir()
    make(folder, other)

    assert book.add(V.PASS, 2, "--keep") == code
    assert problem in capsys.readouterr().err
    assert not list(other.iterdir())
    assert not book.path.exists()


def test_a_kept_file_is_checked_whole_under_the_policy(book: Book, capsys: Said) -> None:
    assert book.run("add", book.lab.good, "--policy", book.policy, "--keep") == Exit.DONE
    capsys.readouterr()

    assert book.run("verify", "--policy", book.policy) == Exit.DONE
    out = capsys.readouterr().out
    assert out.splitlines()[1:] == [
        "ok    trust: every statement holds under the policy",
        "-     over the policy's limits: 1 row",
    ]
    for kept in book.path.with_name("ledger.sqlite.d").iterdir():
        kept.unlink()
    assert book.run("verify", "--policy", book.policy) == Exit.DONE
    assert capsys.readouterr().out.splitlines()[2] == (
        "-     not checked, since the ledger does not store it: "
        "archive (1 row), files (1 row), test-result (1 row), oscal (1 row)"
    )


def test_a_kept_file_that_does_not_verify_is_refused(book: Book, capsys: Said) -> None:
    files = book.lab.files()
    forged = book.lab.put({**files, TEST_RESULT: files["evidence.sigstore.json"]})
    book.forged(book.lab.good, evidence_sha256=sha256_file(forged))
    folder = book.path.with_name("ledger.sqlite.d")
    folder.mkdir()
    shutil.copy(forged, folder / f"{sha256_file(forged)}.evidence.zip")

    assert book.run("verify") == Exit.DONE  # it is the kept file, and nobody is asked for trust
    assert book.run("verify", "--policy", book.policy) == Exit.TRUST
    assert "test-result: the test-result statement is not the one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"signer_sha256": "0" * 64}, "row 1: is signed by another key than the row says"),
        ({"findings_sha256": "0" * 64}, "row 1: disagrees with its statement: findings"),
    ],
)
def test_a_row_that_says_something_else_than_its_statement_is_refused(
    book: Book, tmp_path: Path, capsys: Said, row: dict[str, str], problem: str
) -> None:
    book.forged(book.lab.good, **row)
    file, there = tmp_path / "chain.jsonl", Book(book.lab, tmp_path / "there")
    assert book.run("export", file) == Exit.DONE

    assert book.run("verify", "--policy", book.policy) == Exit.TRUST
    assert problem in capsys.readouterr().err
    assert there.run("import", file, "--policy", book.policy) == Exit.TRUST
    assert problem in capsys.readouterr().err


def test_the_kept_file_of_another_scan_is_refused(book: Book, capsys: Said) -> None:
    other = book.evidence(V.PASS, 2)
    book.forged(book.lab.good, evidence_sha256=sha256_file(other))
    folder = book.path.with_name("ledger.sqlite.d")
    folder.mkdir()
    shutil.copy(other, folder / f"{sha256_file(other)}.evidence.zip")

    assert book.run("verify", "--policy", book.policy) == Exit.TRUST
    assert "row 1: the kept file is the evidence of another scan" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["packages.txt", "statement.json"])
def test_evidence_that_changes_while_it_is_added_is_refused(
    book: Book, monkeypatch: pytest.MonkeyPatch, capsys: Said, name: str
) -> None:
    evidence, verify = book.evidence(V.PASS, 2), vouched.verify
    other = book.evidence(V.FAIL, 3)

    def swapped(path: Path, trust: Any, **more: Any) -> Any:
        verified = verify(path, trust, **more)
        if name == "statement.json":
            shutil.copy(other, path)
        else:
            book.lab.put({**book.lab.files(), name: b"other\n"}).replace(path)
        return verified

    monkeypatch.setattr(vouched, "verify", swapped)

    assert book.run("add", evidence, "--policy", book.policy) == Exit.TRUST
    assert not book.path.exists()
    assert "changed while it was read" in capsys.readouterr().err


def test_a_row_of_before_proofs_were_stored_is_told_as_not_checked(
    book: Book, capsys: Said
) -> None:
    book.forged(book.lab.good, proofs={})

    assert book.run("verify", "--policy", book.policy, "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["notChecked"] == dict.fromkeys(
        ("archive", "files", "test-result", "oscal", "provenance"), 1
    )


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM blob WHERE sha256 = (SELECT bundle_sha256 FROM entry)", "bundle: is missing"),
        ("UPDATE blob SET bytes = x'00'", "was changed: its digest is another"),
        ("INSERT INTO blob VALUES ('ab', x'00')", "holds bytes that belong to no row: ab"),
    ],
)
def test_verify_reads_what_opening_does_not(
    book: Book, capsys: Said, statement: str, problem: str
) -> None:
    book.add(V.PASS, 2)
    tamper(book.path, statement)

    assert book.run("list") == Exit.DONE
    assert book.run("verify") == Exit.TRUST
    assert problem in capsys.readouterr().err


def test_verify_with_a_policy_trusts_no_key_but_its_own(
    book: Book, tmp_path: Path, capsys: Said
) -> None:
    book.add(V.PASS, 2)
    (tmp_path / "other").mkdir()
    other = make_lab(tmp_path / "other")
    early = tmp_path / "early.yaml"
    base = book.lab.ring.policy.read_text()
    day = KEYS_MADE.strftime("%Y-%m-%d")
    assert day in base
    early.write_text(base.replace(day, "2026-11-20"))
    for key in book.lab.ring.policy.parent.glob("*.pub"):
        (tmp_path / key.name).write_bytes(key.read_bytes())
    capsys.readouterr()

    assert book.run("verify", "--policy", book.policy, "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["signatures"] == "checked"
    assert book.run("verify", "--policy", other.ring.policy) == Exit.TRUST
    assert book.run("verify", "--policy", early) == Exit.TRUST
    assert "is not trusted for 2026-11-02T04:05:00Z" in capsys.readouterr().err


def test_the_head_that_was_noted_holds_until_the_tail_is_cut(book: Book, capsys: Said) -> None:
    book.add(V.PASS, 2)
    book.add(V.PASS, 3)
    capsys.readouterr()
    book.run("head")
    noted = capsys.readouterr().out.strip()
    book.add(V.PASS, 4)

    assert book.run("list", "--expect-head", noted) == Exit.DONE
    tamper(book.path, "DELETE FROM entry WHERE seq > 1")
    assert book.run("list") == Exit.DONE  # nothing shows without it
    assert book.run("list", "--expect-head", noted) == Exit.TRUST
    assert book.add(V.FAIL, 5, "--expect-head", noted) == Exit.TRUST
    assert book.run("list", "--expect-head", "2") == Exit.INPUT
    assert book.run("list", "--expect-head", noted.replace("2:", "office=2:")) == Exit.TRUST


def test_a_chain_is_carried_to_another_machine(
    book: Book, lab: Lab, tmp_path: Path, capsys: Said
) -> None:
    book.add(V.PASS, 2)
    book.add(V.FAIL, 3)
    file = tmp_path / "chain.jsonl"
    assert book.run("export", file) == Exit.DONE
    assert book.run("export", file, "--chain", "x") == Exit.INPUT
    (tmp_path / "there").mkdir()
    there = Book(lab, tmp_path / "there")
    there.add(V.PASS, 4)
    (tmp_path / "other").mkdir()
    stranger = make_lab(tmp_path / "other").ring.policy
    capsys.readouterr()

    assert there.run("import", file, "--policy", stranger) == Exit.TRUST
    assert there.run("import", file, "--policy", there.policy, "--as", "office") == Exit.DONE
    assert capsys.readouterr().out.startswith("chain office: 2 new, 2 rows\nhead 2:")
    assert there.run("check", "lab", "--to", "1") == Exit.DONE  # fail, then pass
    assert there.run("verify", "--policy", there.policy) == Exit.DONE
    assert there.run("head") == Exit.DONE
    own, office = capsys.readouterr().out.splitlines()[-2:]
    assert own.startswith("1:")
    assert office.startswith("office=2:")


READERS = (
    ("list",),
    ("history", "lab"),
    ("diff", "lab"),
    ("check", "lab"),
    ("expiring",),
    ("verify",),
    ("head",),
    ("export", "chain.jsonl"),
)


@pytest.mark.parametrize("words", [*READERS, ("add",), ("import",)], ids=lambda w: w[0])
def test_no_ledger_command_deletes_the_file_that_a_journal_names(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said, words: tuple[str]
) -> None:
    book.add(V.PASS, 2)
    book.add(V.PASS, 3)
    monkeypatch.chdir(tmp_path)
    assert book.run("export", "before.jsonl") == Exit.DONE
    more: dict[str, list[object]] = {
        "add": [book.evidence(V.FAIL, 4), "--policy", book.policy],
        "import": ["before.jsonl", "--policy", book.policy],
    }
    victim = tmp_path / "victim.txt"
    victim.write_text("not hardpan's")
    journal = book.path.with_name("ledger.sqlite-journal")
    journal.write_bytes(plain(book.path) + super_journal_record(str(victim)))
    before = content(book.path.parent)
    capsys.readouterr()

    assert book.run(*words, *more.get(words[0], [])) == Exit.TRUST
    told = capsys.readouterr()
    assert "ledger.sqlite-journal: names a super-journal" in told.err
    assert told.out == ""
    assert victim.exists()
    assert content(book.path.parent) == before
    assert not (tmp_path / "chain.jsonl").exists()


@pytest.mark.parametrize("words", READERS, ids=lambda w: w[0])
def test_every_reader_reports_a_hot_journal(
    book: Book, monkeypatch: pytest.MonkeyPatch, capsys: Said, words: tuple[str]
) -> None:
    book.add(V.PASS, 2)
    book.add(V.PASS, 3)
    monkeypatch.chdir(book.folder)
    book.path.with_name("ledger.sqlite-journal").write_bytes(plain(book.path))
    before = content(book.path.parent)
    capsys.readouterr()

    assert book.run(*words) == Exit.INPUT
    assert "hint: 'hardpan ledger add' rolls it back" in capsys.readouterr().err
    assert content(book.path.parent) == before
    assert book.add(V.FAIL, 4) == Exit.DONE
    assert book.run("verify", "--policy", book.policy) == Exit.DONE


def test_loose_permissions_are_told(book: Book, capsys: Said) -> None:
    book.add(V.PASS, 2)
    capsys.readouterr()
    assert book.run("list") == Exit.DONE
    assert capsys.readouterr().err == ""
    book.path.chmod(0o666)
    book.path.parent.chmod(0o777)
    assert book.run("list") == Exit.DONE
    told = capsys.readouterr().err

    assert "group or others may write to it; chmod 600 mends it" in told
    assert "everyone may read which findings are open" in told
    assert "group or others may replace the ledger in it" in told
    book.path.parent.chmod(0o700)


@pytest.mark.parametrize(("state", "used"), [("xdg", True), ("", False), ("relative", False)])
def test_the_ledger_lies_in_the_state_folder(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, used: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg") if used else state)
    evidence = str(book.evidence(V.PASS, 2))
    folder = tmp_path / ("xdg" if used else "home/.local/state")

    assert cli.run(["ledger", "add", evidence, "--policy", book.policy]) == Exit.DONE
    assert (folder / "hardpan" / "ledger.sqlite").is_file()
