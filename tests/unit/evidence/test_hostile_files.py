"""Files that are no evidence, change while they are read, or have content no writer produces."""

import errno
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from hardpan.cli import verify as verify_command
from hardpan.core import clock
from hardpan.core.errors import Exit, InputError, ResourceError, TrustError
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.core.identifiers import PREDICATE_TYPE
from hardpan.core.resources import resource_path
from hardpan.scanners.evidence import archive, signing_options
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import read_unverified
from hardpan.scanners.report.model import build
from hardpan.scanners.report.model.documents import Findings
from hardpan.signing import create_signer, load_public_key, parse_json, read_bundle
from tests.tools.work_counter import measure_peak_bytes
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def policy(lab: EvidenceFixture, tmp_path: Path) -> Path:
    path = lab.ring.policy.with_name(f"{tmp_path.name}.yaml")
    path.write_text(lab.ring.policy.read_text().partition("# More than this")[0])
    return path


def _pipe(folder: Path) -> Path:
    path = folder / "pipe"
    os.mkfifo(path)
    return path


def _loop(folder: Path) -> Path:
    path = folder / "loop"
    path.symlink_to(path)
    return path


def _not_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "x"


NO_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a pipe that nobody writes to": (_pipe, "expected a regular file, got a pipe"),
    "a device without an end": (lambda _: Path("/dev/zero"), "got a device"),
    "an empty device": (lambda _: Path("/dev/null"), "got a device"),
    "a folder": (lambda folder: folder, "cannot be read: Is a directory"),
    "a link to itself": (_loop, "cannot be read: Too many levels of symbolic links"),
    "below a file": (_not_a_file, "cannot be read: Not a directory"),
    "no file": (lambda folder: folder / "no", "cannot be read: No such file"),
}


@pytest.mark.parametrize("name", NO_FILES)
@pytest.mark.parametrize("verb", ["verify", "show", "diff", "export", "remediate"])
def test_evidence_must_be_a_regular_file(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, name: str
) -> None:
    create, message = NO_FILES[name]
    path = create(tmp_path)
    more = {"diff": [str(path)], "export": ["--as", "html"]}.get(verb, [])

    assert cli.run([verb, str(path), *more, "--policy", str(policy)]) == Exit.INPUT
    output = capsys.readouterr().err
    assert f"{path}: " in output
    assert message in output
    assert "bug" not in output


def test_evidence_from_pipe_is_rejected_with_hint(
    lab: EvidenceFixture, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a shell gives it: ``hardpan verify <(cat FILE)``."""
    reading, writing = os.pipe()
    os.write(writing, lab.valid_path.read_bytes()[:4096])
    os.close(writing)
    try:
        code = cli.run(["verify", f"/dev/fd/{reading}", "--policy", str(policy)])
    finally:
        os.close(reading)

    assert code == Exit.INPUT
    output = capsys.readouterr().err
    assert f"/dev/fd/{reading}: expected a regular file, got a pipe" in output
    assert "write it to a file first" in output


def test_open_archive_is_unaffected_by_file_changes(lab: EvidenceFixture, tmp_path: Path) -> None:
    path, good = tmp_path / "x", lab.valid_path.read_bytes()
    path.write_bytes(good)

    with EvidenceArchive(path) as opened:
        path.write_bytes(b"\0" * len(good))
        read = {name: opened.read(name, max_bytes=1 << 20) for name in opened.entries}
        assert opened.file_sha256 == sha256_bytes(good)
    assert read == lab.read_files()


def test_oversized_central_directory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(16 << 20) + archive._pack_end_record(1, 16 << 20, 0))

    def read() -> None:
        with pytest.raises(TrustError, match="end record is not as hardpan writes it"):
            EvidenceArchive(path)

    assert measure_peak_bytes(read) < 4 << 20


def test_oversized_archive_is_rejected_before_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    with path.open("wb") as f:
        f.truncate(archive.MAX_ARCHIVE_BYTES + 1)  # no block is allocated
    monkeypatch.setattr(archive, "_copy_contents", lambda *_: pytest.fail("was copied"))

    with pytest.raises(TrustError, match="expected at most 536870912 bytes, got 536870913"):
        EvidenceArchive(path)


def _svr(out: Path, key: Path) -> Any:
    public = load_public_key(key.with_suffix(".pub"))
    payload, _ = read_bundle(out.read_bytes(), label="svr").verify(public)
    return json.loads(payload)


def _replaced(path: Path, data: bytes) -> None:
    """Another file under the same name."""
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


def _overwritten(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _removed(path: Path, _data: bytes) -> None:
    path.unlink()


def _turned_into_a_pipe(path: Path, _data: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES = [_replaced, _overwritten, _removed, _turned_into_a_pipe]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("source", ["evidence", "policy"])
def test_svr_names_digests_of_verified_bytes(
    lab: EvidenceFixture,
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    change: Callable[[Path, bytes], None],
) -> None:
    evidence, out, key = tmp_path / "x.evidence.zip", tmp_path / "svr.json", tmp_path / "v.pem"
    evidence.write_bytes(lab.valid_path.read_bytes())
    before = {p: sha256_bytes(p.read_bytes()) for p in (evidence, policy)}
    create_signer(key)
    check = verify_command.verify_evidence

    def swapped(path: Path, trust: Any, **more: Any) -> Any:
        verified = check(path, trust, **more)
        change(evidence if source == "evidence" else policy, b"something else")
        return verified

    monkeypatch.setattr(verify_command, "verify_evidence", swapped)
    argv = ["verify", str(evidence), "--policy", str(policy)]

    assert cli.run([*argv, "--emit-svr", str(out), "--key", str(key)]) == Exit.OK
    svr = _svr(out, key)
    assert svr["subject"][0]["digest"]["sha256"] == before[evidence]
    [named] = svr["predicate"]["verifier"]["policies"]
    assert named["digest"]["sha256"] == before[policy]


@pytest.mark.parametrize("change", CHANGES)
def test_chain_links_to_statement_that_was_read(
    lab: EvidenceFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, bytes], None],
) -> None:
    path = tmp_path / "last.evidence.zip"
    path.write_bytes(lab.valid_path.read_bytes())
    other = samples.write_evidence(
        samples.slim_scan(profile="other"), lab.scan, tmp_path / "other-scan"
    )

    def swapped(previous: Path) -> Any:
        opened = read_unverified(previous)
        change(previous, other.read_bytes())
        return opened

    monkeypatch.setattr(signing_options, "read_unverified", swapped)
    chain = signing_options.next_chain_link(signing_options.read_previous_statement(path))

    assert chain.previous_statement_sha256 == sha256_bytes(lab.read_files()["statement.json"])


def _findings(lab: EvidenceFixture, old: bytes, new: bytes) -> Path:
    """Evidence whose findings are changed and signed again as if they were right."""
    data = lab.read_files()["findings.json"]
    assert old in data
    return lab.resign_with_files({"findings.json": data.replace(old, new)})


DURATION = b'"durationS":0.25'
HOSTILE_FINDINGS: dict[str, tuple[bytes, bytes]] = {
    "an exponent": (DURATION, b'"durationS":1e308'),
    "infinite": (DURATION, b'"durationS":1e400'),
    "negative zero": (DURATION, b'"durationS":-0'),
    "a fraction of zero": (DURATION, b'"durationS":1.0'),
    "tiny": (DURATION, b'"durationS":5e-324'),
    "beyond the integers": (DURATION, b'"durationS":9007199254740993'),
    "other digits": (b'"score":"61.00"', b'"score":"\xd9\xa6\xd9\xa1.\xd9\xa0\xd9\xa0"'),
    "a day of another digits": (b'"started":"2026', '"started":"٢٠٢٦'.encode()),
    "half a surrogate": (b'"hostname":"lab"', b'"hostname":"\\udc00"'),
}


@pytest.mark.parametrize("name", HOSTILE_FINDINGS)
def test_non_canonical_findings_are_rejected_by_every_command(
    lab: EvidenceFixture, policy: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = str(_findings(lab, *HOSTILE_FINDINGS[name]))
    trusted = ["--policy", str(policy)]
    for argv in (
        ["show", path],
        ["show", path, "--json"],
        ["diff", str(lab.valid_path), path, "--json"],
        ["verify", path, *trusted],
        ["verify", path, *trusted, "--json"],
        ["show", path, *trusted, "--json"],
        ["export", path, *trusted, "--as", "html"],
        ["remediate", path, *trusted],
        ["remediate", path, "--allow-unverified", "--json"],
    ):
        assert cli.run(argv) == Exit.TRUST, argv
        output = capsys.readouterr().err
        assert "findings.json: " in output
        assert "bug" not in output


@pytest.mark.parametrize(
    "moment", ["2026-02-31T04:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
@pytest.mark.parametrize("name", ["started", "finished"])
def test_impossible_time_is_rejected(
    lab: EvidenceFixture, policy: Path, capsys: pytest.CaptureFixture[str], name: str, moment: str
) -> None:
    """With limits added to it, which the calendar of Python does not reach."""
    statement, files = lab.read_statement(), lab.read_files()
    statement["predicate"]["scan"][name] = moment
    statement["predicate"]["results"]["waivers"] = 0
    statement["predicate"]["waivers"] = None
    findings = json.loads(files["findings.json"]) | {name: moment, "waivers": []}
    for rule in findings["rules"]:  # whether a waiver has expired depends on the end
        rule["waiver"] = None
    files["findings.json"] = canonical_json(findings)
    for subject in statement["subject"]:
        if subject["name"] == "findings.json":
            subject["digest"]["sha256"] = sha256_bytes(files["findings.json"])
    path = str(lab.sign_payload(statement, files))
    policy.write_text(policy.read_text() + "max_age_hours: 876000\n")

    assert cli.run(["verify", path, "--policy", str(policy)]) == Exit.TRUST
    assert f"invalid time: {moment}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"Größe": "x"}, "environment.Größe.[key]: String should match pattern"),
        ({f"n{i}": "x" for i in range(257)}, "environment: Value error, expected at most 256"),
        ({"cpu": 1e308}, "1e+308 is not a plain number"),
    ],
)
def test_non_canonical_smoke_document_is_rejected(
    lab: EvidenceFixture,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, Any],
    message: str,
) -> None:
    smoke = json.loads(lab.read_files()["smoke.json"])
    smoke["environment"] = environment
    path = str(lab.resign_with_files({"smoke.json": json.dumps(smoke).encode()}))

    assert cli.run(["show", path, "--json"]) == Exit.TRUST
    assert message in capsys.readouterr().err


MANY = 30_000
AMPLIFIED: dict[str, Callable[[dict[str, Any]], object]] = {
    "empty rules": lambda f: f.update(rules=[{}] * (MANY // 2)),
    "rules that are lists": lambda f: f.update(rules=[[]] * (MANY // 2)),
    "checks of numbers": lambda f: f.update(checks=list(range(MANY))),
    "counts of texts": lambda f: f.update(counts={f"n{i}": "x" for i in range(MANY)}),
    "references of numbers": lambda f: f["rules"][0].update(nist=list(range(MANY))),
    "unknown fields": lambda f: f.update({f"n{i}": 0 for i in range(MANY)}),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_invalid_findings_use_bounded_memory(lab: EvidenceFixture, name: str) -> None:
    """Each error of pydantic takes a kilobyte: the first of a list is enough."""
    findings = json.loads(lab.read_files()["findings.json"])
    AMPLIFIED[name](findings)
    path = lab.resign_with_files(
        {"findings.json": json.dumps(findings, separators=(",", ":")).encode()}
    )

    def read() -> None:
        if name == "unknown fields":
            assert read_unverified(path).findings.counts["fail"] == 2
            return
        with pytest.raises(VerificationError, match=r"findings: findings\.json: "):
            read_unverified(path)

    assert measure_peak_bytes(read) < 20_000_000


def test_findings_of_1500_rules_fit_the_limits() -> None:
    texts = {"rationale": "r" * 500, "fix_text": "f" * 1500}
    refs = {n: tuple(f"{n}-{i}" for i in range(3)) for n in ("stig_ids", "nist", "ccis")}
    rules = tuple(
        samples.rule(n, samples.Verdict.PASS, evidence_lines=("x" * 80,) * 6, **refs, **texts)
        for n in range(1500)
    )
    findings = build.build_findings(
        samples.scan(evaluation=replace(samples.scan().evaluation, results=rules))
    )
    data = canonical_json(findings.to_json())

    assert Findings.from_json(parse_json(data, label="x", max_bytes=32 << 20)) == findings
    half = parse_json(data, label="x", max_bytes=16 << 20, max_values=60_000)
    assert half == findings.to_json()


def _spelled(name: str, other: str, value: object = None) -> Callable[[Any], object]:
    def change(part: Any) -> None:
        part[other] = part[name] if value is None else value

    return change


@pytest.mark.parametrize(
    ("place", "name", "other"),
    [
        (("predicate", "target", "host"), "hostKeySha256", "host_key_sha256"),
        (("predicate", "scan"), "finished", "Finished"),
        (("predicate",), "signaturesExpected", "signatures_expected"),
        (("predicate", "content"), "sourceSha256", "source_sha256"),
        ((), "predicateType", "predicate_type"),
        ((), "_type", "type_"),
    ],
)
def test_statement_field_has_single_spelling(
    lab: EvidenceFixture, place: tuple[str, ...], name: str, other: str
) -> None:
    def part(statement: Any) -> Any:
        for key in place:
            statement = statement[key]
        return statement

    def renamed(statement: Any) -> None:
        part(statement)[other] = part(statement).pop(name)

    def both(statement: Any) -> None:
        part(statement)[other] = "something else"

    with pytest.raises(VerificationError, match=rf"statement: .*{name}: Field required"):
        lab.verify(lab.resign_changed(renamed))
    verified = lab.verify(lab.resign_changed(both)).statement
    assert verified == lab.verify(lab.valid_path).statement.model_copy(
        update={"predicate": verified.predicate}
    )
    assert part(verified.to_json())[name] == part(lab.read_statement())[name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"ruleId"', b'"rule_id"'),
        (b'"hostKeySha256"', b'"host_key_sha256"'),
        (b'"schemaVersion"', b'"schema_version"'),
    ],
)
def test_findings_field_has_single_spelling(lab: EvidenceFixture, old: bytes, new: bytes) -> None:
    with pytest.raises(VerificationError, match=rf"{old.decode()[1:-1]}: Field required"):
        lab.verify(_findings(lab, old, new))


@pytest.mark.parametrize(
    "other",
    [
        "5f0e1a52-6a3c-5d6a-9d4e-111111111111",
        "",
        "x",
        5,
        [],
        True,
        lambda right: right.upper(),
        lambda right: "urn:uuid:" + right,
        lambda right: right.replace("-", ""),
        lambda right: right + " ",
    ],
)
def test_statement_id_must_match_content(lab: EvidenceFixture, other: Any) -> None:
    statement = lab.read_statement()
    right = statement["predicate"]["statementId"]
    statement["predicate"]["statementId"] = other(right) if callable(other) else other
    path = lab.sign_payload(json.dumps(statement).encode())

    message = "statementId: does not follow from the rest: expected " + right
    with pytest.raises(VerificationError, match=message):
        lab.verify(path)
    with pytest.raises(VerificationError, match=message):
        read_unverified(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["predicate"].update(later=1),
        lambda s: s["predicate"]["scan"].update(nonce="m" * 16),
        lambda s: s["subject"].reverse(),
        lambda s: s["subject"][0]["digest"].update(sha512="0"),
    ],
)
def test_statement_id_of_other_statement_is_rejected(
    lab: EvidenceFixture, change: Callable[[Any], object]
) -> None:
    statement = lab.read_statement()
    change(statement)

    with pytest.raises(VerificationError, match="statementId: does not follow from the rest"):
        lab.verify(lab.sign_payload(json.dumps(statement).encode()))


def test_statement_id_of_non_canonical_content_is_rejected(lab: EvidenceFixture) -> None:
    statement = lab.read_statement()
    statement["predicate"]["größer"] = 1

    with pytest.raises(VerificationError, match="statementId: cannot be derived: not an ASCII key"):
        lab.verify(lab.sign_payload(json.dumps(statement).encode()))


def _packaged() -> str:
    template = resource_path("hardpan.scanners.evidence.sign", "templates", "verify.sh.j2")
    return template.read_text("utf-8").replace("{{ predicate_type }}", PREDICATE_TYPE)


def test_emit_script_writes_packaged_script(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "verify.sh"

    assert cli.run(["verify", "--emit-script"]) == Exit.OK
    assert capsys.readouterr().out == _packaged()
    assert cli.run(["verify", "--emit-script", str(out)]) == Exit.OK
    assert capsys.readouterr().out == ""
    assert out.read_text("utf-8") == _packaged()
    assert out.stat().st_mode & 0o777 == 0o755
    assert lab.read_files()["verify.sh"].decode() == _packaged()


def test_emit_script_ignores_script_in_archive(
    lab: EvidenceFixture, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = lab.pack({**lab.read_files(), "verify.sh": b"#!/bin/sh\necho verified: everything\n"})

    argv = ["verify", str(forged), "--policy", str(policy), "--emit-script"]
    assert cli.run(argv) == Exit.OK
    assert capsys.readouterr().out == _packaged()
    assert cli.run(argv[:-1]) == Exit.TRUST
    assert "verify.sh: expected sha256" in capsys.readouterr().err


def test_verify_md_warns_about_script_in_archive(lab: EvidenceFixture) -> None:
    guide = lab.read_files()["VERIFY.md"].decode()

    assert "**Never run the `verify.sh` of this archive.**" in guide
    assert "hardpan verify --emit-script ../verify.sh" in guide
    assert "sh verify.sh" not in guide


def test_archive_copy_without_space_reports_resource_error(
    lab: EvidenceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.tempfile, "TemporaryFile", full)

    with pytest.raises(
        ResourceError, match="cannot be copied to a temporary file to be read: No space left"
    ):
        EvidenceArchive(lab.valid_path)


class _Failing(io.BytesIO):
    """A file that fails at one of its methods, as on a full or broken disk."""

    def __init__(self, data: bytes = b"", *, at: str, code: int) -> None:
        super().__init__(data)
        self._at, self._code = at, code

    def _fail(self, method: str) -> None:
        if method == self._at:
            raise OSError(self._code, os.strerror(self._code))

    def read(self, size: int | None = -1) -> bytes:
        self._fail("read")
        return super().read(size)

    def write(self, data: Any) -> int:
        self._fail("write")
        return super().write(data)

    def flush(self) -> None:
        self._fail("flush")


@pytest.mark.parametrize("at", ["write", "flush"])
def test_full_disk_during_copy_reports_resource_error(
    lab: EvidenceFixture, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    full = _Failing(at=at, code=errno.ENOSPC)
    monkeypatch.setattr(archive.tempfile, "TemporaryFile", lambda **_: full)

    with pytest.raises(ResourceError, match="cannot be copied to a temporary file"):
        EvidenceArchive(lab.valid_path)
    assert full.closed


def test_read_error_during_copy_reports_input_error(lab: EvidenceFixture) -> None:
    broken = _Failing(lab.valid_path.read_bytes(), at="read", code=errno.EIO)

    with pytest.raises(InputError, match="cannot be read: Input/output error"):
        archive._copy_contents(io.BytesIO(), broken, lab.valid_path)


def test_archive_that_grows_during_copy_is_rejected(
    lab: EvidenceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 1000)

    with pytest.raises(TrustError, match="grew beyond 1000 bytes while it was read"):
        archive._copy_contents(io.BytesIO(), io.BytesIO(bytes(1001)), lab.valid_path)
    assert archive._copy_contents(
        io.BytesIO(), io.BytesIO(bytes(1000)), lab.valid_path
    ) == sha256_bytes(bytes(1000))
