import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.core import events
from hardpan.core.errors import InputError
from hardpan.core.events import Event
from hardpan.scanners.evidence.sign import output_files, writer
from hardpan.scanners.report.model import build
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture


def test_attachments_are_reproducible(lab: EvidenceFixture, tmp_path: Path) -> None:
    files = [
        writer.build_attachments(scan, writer.build_report(scan, lab.scan))
        for scan in (samples.scan(), samples.scan())
    ]

    assert files[0] == files[1]


def test_statement_binds_host_image_content_and_counts(lab: EvidenceFixture) -> None:
    statement = lab.read_statement()
    claim = statement["predicate"]

    assert statement["predicateType"] == "https://hardpan.dev/attestation/compliance-scan/v1"
    assert claim["target"]["host"]["hostKeySha256"] == samples.HOST_KEY
    assert claim["target"]["image"]["digest"]["sha256"] == samples.SHA
    assert claim["content"]["sourceSha256"] == samples.SHA
    assert claim["results"]["counts"]["fail"] == 2
    assert claim["results"]["baselineCounts"]["fail"] == 3
    assert claim["results"]["arf"] == ["arf-1.xml", "arf-2.xml"]
    assert claim["signaturesExpected"] == ["ecdsa-p256-sha256"]
    assert claim["scan"]["nonce"] == "n" * 16


def test_public_key_is_written_next_to_evidence_only(lab: EvidenceFixture) -> None:
    assert (lab.folder / "lab.pub").read_text() == lab.scan.public.pem
    assert not any(n.endswith((".pub", ".pem")) for n in lab.read_files())
    assert b"PRIVATE KEY" not in b"".join(lab.read_files().values())


def test_write_rejects_reserved_and_unsafe_names(lab: EvidenceFixture, tmp_path: Path) -> None:
    for name, message in (
        ("findings.json", "is taken"),
        ("evidence.sigstore.json", "is taken"),
        ("sbom.cdx.json", "is taken"),
        ("../arf.xml", "not a safe file name"),
        ("Report.html", "differ only in case"),
    ):
        scan = samples.scan(raw={"arf-1.xml": b"x", name: b"x"})
        with pytest.raises(InputError, match=message):
            samples.write_evidence(scan, lab.scan, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hostname", "sanitized"),
    [
        ("inference-07", "inference-07"),
        ("db_1.site.example", "db_1.site.example"),
        ("../../etc/cron.d/x", "etc-cron.d-x"),
        ("/root/.ssh/authorized_keys", "root-.ssh-authorized_keys"),
        ("..\\..\\C:\\x", "C-x"),
        ("-rf", "rf"),
        ("--output=x", "output-x"),
        (".bashrc", "bashrc"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("$(id);`id`|x&", "id-id-x"),
        ("a\nb\x00c\x1b[31m\u202edcba", "a-b-c-31m-dcba"),
        ("h\u00f6st \u0665", "h-st"),
        ("%2e%2e%2f*?", "2e-2e-2f"),
        ("a" * 300, "a" * 64),
        ("a" * 63 + ".b", "a" * 63),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("\u2026/", "unnamed"),
    ],
)
def test_default_filename_is_safe_for_any_hostname(hostname: str, sanitized: str) -> None:
    host = replace(samples.HOST, hostname=hostname)
    findings = build.build_findings(samples.scan(host=host, profile="rocky9-stig"))

    assert (
        output_files.default_filename(findings)
        == f"{sanitized}-rocky9-stig-20261121T040500Z.evidence.zip"
    )


def test_default_names_of_the_same_second_differ(tmp_path: Path) -> None:
    default = tmp_path / "h-p-20261121T040500Z.evidence.zip"

    def write(n: int) -> tuple[str, int]:
        with output_files.unused_path(default) as path:
            path.write_text(str(n))
        return path.name, n

    with ThreadPoolExecutor(8) as executor:
        written = dict(executor.map(write, range(24)))

    assert len(written) == 24
    assert {p.name: int(p.read_text()) for p in tmp_path.iterdir()} == written
    assert {default.name, "h-p-20261121T040500Z-2.evidence.zip"} <= set(written)


def test_default_name_replaces_no_key_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "x.pub").write_text("another scan's key")
    (tmp_path / "x-2.pq.pub").write_text("another scan's key")
    (tmp_path / "x-3.evidence.zip").symlink_to(tmp_path / "elsewhere")

    with output_files.unused_path(tmp_path / "x.evidence.zip") as path:
        path.write_text("evidence")

    assert path.name == "x-4.evidence.zip"
    assert not (tmp_path / "elsewhere").exists()


def _fail_to_write(path: Path, text: str) -> None:
    with output_files.unused_path(path) as reserved:
        assert reserved.exists()
        reserved.write_text(text)
        raise InputError("no timestamp")


def test_failed_write_leaves_no_reserved_file(tmp_path: Path) -> None:
    path = tmp_path / "x.evidence.zip"
    with pytest.raises(InputError):
        _fail_to_write(path, "")
    assert list(tmp_path.iterdir()) == []

    with pytest.raises(InputError):
        _fail_to_write(path, "written, without a timestamp")
    assert path.read_text() == "written, without a timestamp"


def test_write_rejects_other_suffix(lab: EvidenceFixture, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a name that ends in \.evidence\.zip"):
        writer.write_evidence(samples.scan(), lab.scan, tmp_path / "x.zip", events.discard)


def test_write_emits_stage_events(lab: EvidenceFixture, tmp_path: Path) -> None:
    seen: list[Event] = []
    writer.write_evidence(samples.scan(), lab.scan, tmp_path / "x.evidence.zip", seen.append)

    assert isinstance(seen[0], events.StageStarted)
    assert isinstance(seen[-1], events.StageFinished)


def test_json_files_are_canonical(lab: EvidenceFixture) -> None:
    files = {
        n: d for n, d in lab.read_files().items() if n.endswith(".json") and n != "sbom.cdx.json"
    }
    again = {
        name: json.dumps(
            json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        for name, data in files.items()
    }

    assert {"findings.json", "host.json", "smoke.json", "statement.json"} < set(files)
    assert again == files
