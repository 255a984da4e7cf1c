"""The main job, end to end, on the embedded default."""

import json
import mmap
import re
import sys
import zipfile
from pathlib import Path

import pytest

from hardpan.errors import Exit
from hardpan.process import Completed, run
from tests.integration.conftest import DATA, REPO, Proved, prove
from tests.tooling.get_cosign import cosign
from tests.unit.evidence.forge import regions

pytestmark = [pytest.mark.integration, pytest.mark.demo]

REMOVED = (
    # An SSH host key: the line alone is in every ssh-keygen.
    b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE",
    # A kickstart: the installer leaves its own below /root.
    b"--iscrypted --password=",
    # The installer's log: the base install has it.
    b"HARDPAN-INSTALL: phase",
)
"""What the guest had and has removed; the image is a qcow2 without compression."""

_GRUB_HASH = re.compile(r"password_pbkdf2: grub\.pbkdf2\.sha512\.10000\.([0-9A-F]{32})")


def hardpan(*argv: object, ok: tuple[int, ...] = (0,)) -> Completed:
    return run([sys.executable, "-m", "hardpan", *map(str, argv)], timeout_s=300, ok=ok, cwd=REPO)


def findings(proved: Proved) -> dict[str, object]:
    with zipfile.ZipFile(proved.evidence) as z:
        loaded = json.loads(z.read("findings.json"))
    assert isinstance(loaded, dict)
    return loaded


def test_it_ends_with_a_verified_evidence_file(proved: Proved) -> None:
    answer = hardpan("verify", proved.evidence, "--policy", proved.out / "trust.yaml", "--json")

    assert proved.returncode == 0
    told = json.loads(answer.stdout)
    assert told["verdict"] == "verified"
    assert {c["outcome"] for c in told["checks"]} == {"ok", "skipped"}


def test_the_summary_tells_what_a_person_wants_to_know(proved: Proved) -> None:
    for word in (
        "image",
        "before",
        "now",
        "open",
        "smoke test",
        "evidence",
        "verdict     verified",
    ):
        assert word in proved.stdout


def test_hardening_made_more_rules_pass_and_nothing_is_left_unjudged(proved: Proved) -> None:
    summary = json.loads((proved.out / "summary.json").read_text())
    before, after = summary["before"], summary["after"]

    assert sum(after.values()) == sum(before.values())
    assert after["pass"] > before["pass"]
    assert after["notapplicable"] < sum(after.values()) / 4
    rules = findings(proved)["rules"]
    assert isinstance(rules, list)
    unjudged = [r["ruleId"] for r in rules if r["verdict"] in ("error", "unknown")]
    assert unjudged == [r["ruleId"] for r in rules if r["ruleId"] in unjudged and r["waiver"]]


def test_the_checks_on_the_running_system_pass(proved: Proved) -> None:
    checks = findings(proved)["checks"]
    assert isinstance(checks, list)

    assert len(checks) > 50
    assert [c for c in checks if c["outcome"] not in ("passed", "skipped")] == []


def test_the_image_is_whole_and_is_the_one_the_evidence_names(proved: Proved) -> None:
    (image,) = proved.out.glob("*.qcow2")
    digest = run(["sha256sum", image], timeout_s=300).stdout.split()[0]

    run(["qemu-img", "check", image], timeout_s=120)
    with zipfile.ZipFile(proved.evidence) as z:
        statement = json.loads(z.read("statement.json"))
    assert statement["predicate"]["target"]["image"]["digest"]["sha256"] == digest


def test_fips_mode_is_really_on_and_nothing_claims_validation(proved: Proved) -> None:
    with zipfile.ZipFile(proved.evidence) as z:
        host = json.loads(z.read("host.json"))
        page = z.read("report.html").decode().lower()

    assert host["fipsKernelFlag"] is True
    assert "fips=1" in host["cmdline"]
    for forbidden in ("fips validated", "fips compliant", "fips certified"):
        assert forbidden not in page


def test_the_lab_is_never_called_rocky(proved: Proved) -> None:
    with zipfile.ZipFile(proved.evidence) as z:
        host = json.loads(z.read("host.json"))

    assert host["osId"] == "hardpan-lab"
    assert "rocky" not in json.dumps(host).lower()


def test_the_smoke_test_measured_the_real_model(proved: Proved) -> None:
    with zipfile.ZipFile(proved.evidence) as z:
        smoke = json.loads(z.read("smoke.json"))

    assert smoke["backend"] == "cpu"
    assert smoke["framework"].startswith("torch ")
    assert len(smoke["measures"]) == 3
    assert [m["name"] for m in smoke["measures"] if not m["value"] > 0] == []
    assert len(smoke["modelSha256"]) == 64


def test_cosign_accepts_it_unchanged(proved: Proved, tmp_path: Path) -> None:
    program = cosign()
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

    said = run(argv, timeout_s=60)

    assert "Verified OK" in said.stderr + said.stdout


@pytest.mark.parametrize("check", ["archive", "bundle", "copies", "files", "oscal", "test-result"])
def test_one_flipped_byte_is_trust_broken(proved: Proved, tmp_path: Path, check: str) -> None:
    data = bytearray(proved.evidence.read_bytes())
    region = next(where for name, where in regions(proved.evidence) if name == check)
    data[region[0]] ^= 1
    (tmp_path / "x.evidence.zip").write_bytes(data)

    answer = hardpan(
        *("verify", tmp_path / "x.evidence.zip", "--policy", proved.out / "trust.yaml", "--json"),
        ok=(int(Exit.TRUST),),
    )

    told = json.loads(answer.stdout)
    assert told["verdict"] == "refused"
    assert next(c["id"] for c in told["checks"] if c["outcome"] == "fail") == check


def test_a_second_run_takes_every_stage_from_the_first(proved: Proved) -> None:
    again = prove(proved.out)

    assert "install: taken from an earlier run" in again.said
    assert "scan: taken from an earlier run" in again.said
    assert "install: started" not in again.said


def test_nothing_secret_is_left_in_the_output(proved: Proved, tmp_path: Path) -> None:
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

    files = [p for p in proved.out.rglob("*") if p.is_file() and p.stat().st_size]
    assert {".iso", ".json", ".log", ".pub", ".qcow2", ".zip"} <= {p.suffix for p in files}
    assert [p.name for p in files if p.suffix in (".key", ".pem") or p.stem.startswith("id_")] == []
    with zipfile.ZipFile(proved.evidence) as z:
        packed = {name: z.read(name) for name in z.namelist()}
    assert [name for name, data in packed.items() if b"PRIVATE KEY" in data] == []
    assert [p.name for p in files if any(_holds(p, line) for line in lines)] == []
    # A rule about GRUB's password finds the hash, and OpenSCAP copies what it finds.
    assert any(b"grub.pbkdf2.sha512.10000.[redacted]" in data for data in packed.values())
    (salt,) = _GRUB_HASH.findall((REPO / "profiles/lab-stig.yaml").read_text())
    assert [name for name, data in packed.items() if salt.encode() in data] == []
    said = (proved.stdout + proved.said).encode()
    assert [line for line in lines if line in said or line in b"".join(packed.values())] == []


def test_what_was_removed_is_in_no_block_of_the_image(proved: Proved) -> None:
    (image,) = proved.out.glob("*.qcow2")

    assert _holds(image, b"GRUB2_PASSWORD=grub.pbkdf2.sha512."), "the search finds what is there"
    assert [marker for marker in REMOVED if _holds(image, marker)] == []


def test_outputs_with_secrets_or_hashes_are_for_their_owner_alone(proved: Proved) -> None:
    made = [p for p in proved.out.iterdir() if p.suffix in (".iso", ".qcow2", ".log")]

    assert {".iso", ".log", ".qcow2"} <= {p.suffix for p in made}
    assert {p.stat().st_mode & 0o777 for p in made} == {0o600}


def _holds(path: Path, wanted: bytes) -> bool:
    with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(wanted) >= 0
