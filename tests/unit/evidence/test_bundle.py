import json
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import events
from hardpan.errors import InputError
from hardpan.events import Event
from hardpan.scanners.evidence import bundle
from hardpan.scanners.report import fill
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab


def test_the_same_scan_gives_the_same_statement(lab: Lab, tmp_path: Path) -> None:
    files = [
        bundle.attachments(made, bundle.report_of(made, lab.scan))
        for made in (samples.scan(), samples.scan())
    ]

    assert files[0] == files[1]


def test_the_statement_binds_host_image_content_and_counts(lab: Lab) -> None:
    statement = lab.statement()
    claim = statement["predicate"]

    assert statement["predicateType"] == "https://hardpan.dev/attestation/compliance-scan/v1"
    assert claim["target"]["host"]["hostKeySha256"] == samples.HOST_KEY
    assert claim["target"]["image"]["digest"]["sha256"] == samples.SHA
    assert claim["content"]["sourceSha256"] == samples.SHA
    assert claim["results"]["counts"]["fail"] == 2
    assert claim["results"]["before"]["fail"] == 3
    assert claim["results"]["arf"] == ["arf-1.xml", "arf-2.xml"]
    assert claim["signaturesExpected"] == ["ecdsa-p256-sha256"]
    assert claim["scan"]["nonce"] == "n" * 16


def test_the_public_key_lies_beside_and_not_inside(lab: Lab) -> None:
    assert (lab.folder / "lab.pub").read_text() == lab.scan.public.pem
    assert not any(n.endswith((".pub", ".pem")) for n in lab.files())
    assert b"PRIVATE KEY" not in b"".join(lab.files().values())


def test_a_name_that_is_taken_or_unsafe_is_refused(lab: Lab, tmp_path: Path) -> None:
    for name, said in (
        ("findings.json", "is taken"),
        ("evidence.sigstore.json", "is taken"),
        ("sbom.cdx.json", "is taken"),
        ("../arf.xml", "not a safe file name"),
        ("Report.html", "differ only in case"),
    ):
        made = samples.scan(raw={"arf-1.xml": b"x", name: b"x"})
        with pytest.raises(InputError, match=said):
            samples.write(made, lab.scan, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hostname", "kept"),
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
def test_the_usual_name_is_a_plain_one_whatever_the_host_is_called(
    hostname: str, kept: str
) -> None:
    host = replace(samples.HOST, hostname=hostname)
    found = fill.findings(samples.scan(host=host, profile="rocky9-stig"))

    assert bundle.usual_name(found) == f"{kept}-rocky9-stig-20261121T040500Z.evidence.zip"


def test_another_suffix_is_refused(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a name that ends in \.evidence\.zip"):
        bundle.write(samples.scan(), lab.scan, tmp_path / "x.zip", events.silent)


def test_the_stage_is_announced(lab: Lab, tmp_path: Path) -> None:
    seen: list[Event] = []
    bundle.write(samples.scan(), lab.scan, tmp_path / "x.evidence.zip", seen.append)

    assert isinstance(seen[0], events.Started)
    assert isinstance(seen[-1], events.Ended)


def test_every_json_file_is_its_own_canonical_form(lab: Lab) -> None:
    files = {n: d for n, d in lab.files().items() if n.endswith(".json") and n != "sbom.cdx.json"}
    again = {
        name: json.dumps(
            json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        for name, data in files.items()
    }

    assert {"findings.json", "host.json", "smoke.json", "statement.json"} < set(files)
    assert again == files
