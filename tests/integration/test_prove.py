"""The main job, end to end, on the embedded default."""

import json
import mmap
import os
import re
import sys
import zipfile
from pathlib import Path

import pytest

from hardpan.core.errors import Exit
from hardpan.core.process import CompletedProcess, run
from tests.integration.conftest import DATA, REPO, ProveRun, run_prove
from tests.integration.decided_verdicts import find_verdict_differences
from tests.tools.get_cosign import find_cosign
from tests.unit.evidence.evidence_fixture import list_byte_regions

pytestmark = [pytest.mark.integration, pytest.mark.demo]

REMOVED_MARKERS = (
    # An SSH host key: the line alone is in every ssh-keygen.
    b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE",
    # A kickstart: the installer leaves its own below /root.
    b"--iscrypted --password=",
    # The installer's log: the base install has it.
    b"Starting installer, one moment",
)
"""What the guest had and has removed; the image is a qcow2 without compression."""

_GRUB_HASH = re.compile(r"password_pbkdf2: grub\.pbkdf2\.sha512\.10000\.([0-9A-F]{32})")


def run_hardpan(*argv: object, ok: tuple[int, ...] = (0,)) -> CompletedProcess:
    return run([sys.executable, "-m", "hardpan", *map(str, argv)], timeout_s=300, ok=ok, cwd=REPO)


def read_findings(proved: ProveRun) -> dict[str, object]:
    with zipfile.ZipFile(proved.evidence) as z:
        loaded = json.loads(z.read("findings.json"))
    assert isinstance(loaded, dict)
    return loaded


def test_prove_writes_verified_evidence(proved: ProveRun) -> None:
    process = run_hardpan(
        "verify", proved.evidence, "--policy", proved.output_folder / "trust.yaml", "--json"
    )

    assert proved.returncode == 0
    result = json.loads(process.stdout)
    assert result["verdict"] == "verified"
    assert {c["status"] for c in result["checks"]} == {"ok", "skipped"}


def test_output_contains_every_summary_row(proved: ProveRun) -> None:
    for word in (
        "image",
        "baseline",
        "current",
        "open",
        "smoke test",
        "evidence",
        "verdict     verified",
    ):
        assert word in proved.stdout


def test_hardening_increases_passing_rules_and_assesses_all(proved: ProveRun) -> None:
    summary = json.loads((proved.output_folder / "summary.json").read_text())
    baseline, current = summary["baseline"], summary["current"]

    assert sum(current.values()) == sum(baseline.values())
    assert current["pass"] > baseline["pass"]
    assert current["notapplicable"] < sum(current.values()) / 4
    rules = read_findings(proved)["rules"]
    assert isinstance(rules, list)
    not_assessed = [r["ruleId"] for r in rules if r["verdict"] in ("error", "unknown")]
    assert not_assessed == [
        r["ruleId"] for r in rules if r["ruleId"] in not_assessed and r["waiver"]
    ]


def test_rules_without_remediation_have_the_decided_verdict(proved: ProveRun) -> None:
    rules = read_findings(proved)["rules"]
    assert isinstance(rules, list)

    assert find_verdict_differences("lab-stig", rules) == {}


def test_host_checks_pass(proved: ProveRun) -> None:
    checks = read_findings(proved)["checks"]
    assert isinstance(checks, list)

    assert len(checks) > 50
    open_checks = [c for c in checks if c["outcome"] in ("failed", "error")]
    assert [c for c in open_checks if not c["waiver"]] == []
    # The lab's boot loader has no /boot/grub2/grub.cfg, and no vendor supports the lab.
    assert {c["name"] for c in checks if c["outcome"] == "not_checked"} <= {
        *("hardpan-check-boot-loader-files", "hardpan-check-release-supported"),
        "hardpan-check-release-support-remaining",
    }


def test_image_is_intact_and_named_by_the_evidence(proved: ProveRun) -> None:
    (image,) = proved.output_folder.glob("*.qcow2")
    digest = run(["sha256sum", image], timeout_s=300).stdout.split()[0]

    run(["qemu-img", "check", image], timeout_s=120)
    with zipfile.ZipFile(proved.evidence) as z:
        statement = json.loads(z.read("statement.json"))
    assert statement["predicate"]["target"]["image"]["digest"]["sha256"] == digest


def test_fips_mode_is_on_without_claiming_validation(proved: ProveRun) -> None:
    with zipfile.ZipFile(proved.evidence) as z:
        host = json.loads(z.read("host.json"))
        page = z.read("report.html").decode().lower()

    assert host["fipsKernelFlag"] is True
    assert "fips=1" in host["cmdline"]
    for forbidden in ("fips validated", "fips compliant", "fips certified"):
        assert forbidden not in page


def test_lab_image_is_never_called_rocky(proved: ProveRun) -> None:
    with zipfile.ZipFile(proved.evidence) as z:
        host = json.loads(z.read("host.json"))

    assert host["osId"] == "hardpan-lab"
    assert "rocky" not in json.dumps(host).lower()


def test_smoke_test_measures_the_installed_model(proved: ProveRun) -> None:
    with zipfile.ZipFile(proved.evidence) as z:
        smoke = json.loads(z.read("smoke.json"))

    assert smoke["backend"] == "cpu"
    assert smoke["framework"].startswith("torch ")
    assert len(smoke["measures"]) == 3
    assert [m["name"] for m in smoke["measures"] if not m["value"] > 0] == []
    assert len(smoke["modelSha256"]) == 64


def test_cosign_verifies_the_evidence(proved: ProveRun, tmp_path: Path) -> None:
    program = find_cosign()
    assert program is not None, "run make setup-cosign"
    with zipfile.ZipFile(proved.evidence) as z:
        z.extractall(tmp_path)
        kind = json.loads(z.read("statement.json"))["predicateType"]
    root = tmp_path / "root.json"
    root.write_text('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    key = proved.evidence.with_name(proved.evidence.name.removesuffix(".evidence.zip") + ".pub")
    argv = [program, "verify-blob-attestation", "--key", key, "--insecure-ignore-tlog"]
    argv += ["--new-bundle-format", "--trusted-root", root, "--type", kind]
    argv += ["--bundle", tmp_path / "evidence.sigstore.json", tmp_path / "findings.json"]

    process = run(argv, timeout_s=60)

    assert "Verified OK" in process.stderr + process.stdout


@pytest.mark.parametrize(
    "check", ["archive", "bundle", "detached-copies", "files", "oscal", "test-result"]
)
def test_flipped_byte_fails_verification(proved: ProveRun, tmp_path: Path, check: str) -> None:
    data = bytearray(proved.evidence.read_bytes())
    region = next(span for name, span in list_byte_regions(proved.evidence) if name == check)
    data[region[0]] ^= 1
    (tmp_path / "x.evidence.zip").write_bytes(data)

    process = run_hardpan(
        *(
            "verify",
            tmp_path / "x.evidence.zip",
            "--policy",
            proved.output_folder / "trust.yaml",
            "--json",
        ),
        ok=(int(Exit.TRUST),),
    )

    result = json.loads(process.stdout)
    assert result["verdict"] == "refused"
    assert next(c["id"] for c in result["checks"] if c["status"] == "fail") == check


def test_second_run_reuses_every_stage(proved: ProveRun) -> None:
    second_run = run_prove(proved.output_folder)

    assert "install: reused from a previous run" in second_run.stderr
    assert "scan: reused from a previous run" in second_run.stderr
    assert "install: started" not in second_run.stderr


def test_outputs_contain_no_secret(proved: ProveRun, tmp_path: Path) -> None:
    keys, operator = DATA / "hardpan" / "keys", DATA / "hardpan" / "operator" / "id_ecdsa"
    private = [*keys.glob("*.pem"), operator]
    # An OpenSSH private key repeats its public half, and begins as every key of its kind does.
    argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", tmp_path / "k"]
    run(argv, timeout_s=60)
    public = operator.with_suffix(".pub").read_bytes() + (tmp_path / "k").read_bytes()
    lines = [
        line
        for path in private
        for line in path.read_bytes().splitlines()
        if len(line) > 60 and line not in public
    ]
    assert len(private) == 3
    assert len(lines) > 6

    files = [p for p in proved.output_folder.rglob("*") if p.is_file() and p.stat().st_size]
    assert {".iso", ".json", ".log", ".pub", ".qcow2", ".zip"} <= {p.suffix for p in files}
    assert [p.name for p in files if p.suffix in (".key", ".pem") or p.stem.startswith("id_")] == []
    with zipfile.ZipFile(proved.evidence) as z:
        members = {name: z.read(name) for name in z.namelist()}
    assert [name for name, data in members.items() if b"PRIVATE KEY" in data] == []
    assert [p.name for p in files if any(_contains(p, line) for line in lines)] == []
    # A rule about GRUB's password finds the hash, and OpenSCAP copies what it finds.
    assert any(b"grub.pbkdf2.sha512.10000.[redacted]" in data for data in members.values())
    (salt,) = _GRUB_HASH.findall((REPO / "profiles/lab-stig.yaml").read_text())
    assert [name for name, data in members.items() if salt.encode() in data] == []
    console_output = (proved.stdout + proved.stderr).encode()
    assert [
        line for line in lines if line in console_output or line in b"".join(members.values())
    ] == []


def test_removed_data_is_in_no_block_of_the_image(proved: ProveRun) -> None:
    (image,) = proved.output_folder.glob("*.qcow2")

    assert _contains(image, b"GRUB2_PASSWORD=grub.pbkdf2.sha512."), "the search finds what is there"
    assert [marker for marker in REMOVED_MARKERS if _contains(image, marker)] == []


def test_outputs_with_secrets_are_private(proved: ProveRun) -> None:
    private_files = [
        p for p in proved.output_folder.iterdir() if p.suffix in (".iso", ".qcow2", ".log")
    ]

    assert {".iso", ".log", ".qcow2"} <= {p.suffix for p in private_files}
    assert {p.stat().st_mode & 0o777 for p in private_files} == {0o600}


def _contains(path: Path, pattern: bytes) -> bool:
    with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(pattern) >= 0


def test_third_party_programs_read_the_numbers_of_the_evidence(proved: ProveRun) -> None:
    # 'make test-demo' installs the large programs, too.
    is_complete = os.environ.get("HARDPAN_CONSUMERS") == "all"
    expression = "evidence" if is_complete else "evidence and not slow"
    argv = [sys.executable, "-m", "pytest", "-q", "-m", expression, REPO / "tests" / "consumers"]
    environment = {"HARDPAN_EVIDENCE": str(proved.evidence)}
    process = run(argv, timeout_s=900, cwd=REPO, env=environment, ok=(0, 1))

    assert process.returncode == 0, process.stdout[-8000:]
    assert re.search(r"^[0-9]+ passed", process.stdout, re.MULTILINE)
    assert " skipped" not in process.stdout
