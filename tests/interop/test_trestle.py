"""compliance-trestle imports and validates the OSCAL files and verifies their signature."""

import json
import zipfile
from pathlib import Path

import pytest

from hardpan.process import run
from hardpan.scanners.evidence.bindings import OSCAL
from hardpan.scanners.evidence.oscal_statement import OSCAL_PREDICATE_TYPE, dsse, oscal_statement
from hardpan.signing import new_signer, sign
from tests.interop.conftest import Programs
from tests.tooling.get_cosign import cosign
from tests.unit.evidence import samples

pytestmark = pytest.mark.interop

_RESULTS = "assessment-results.json"
_INVALID = 1


@pytest.fixture(scope="session")
def workspace(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trestle")
    programs.run("trestle", "init", "--local", cwd=folder)
    return folder


@pytest.mark.parametrize("name", [_RESULTS, "poam.json"])
def test_trestle_imports_and_validates(
    programs: Programs, workspace: Path, drawn: Path, name: str
) -> None:
    model = f"{drawn.name}-{name.partition('.')[0]}"
    programs.run("trestle", "import", "-f", drawn / name, "-o", model, cwd=workspace)
    (stored,) = workspace.glob(f"*/{model}/*.json")
    said = programs.run("trestle", "validate", "-f", stored, cwd=workspace)

    assert "VALID: Model" in said.stdout + said.stderr


def test_trestle_refuses_a_document_that_is_wrong(
    programs: Programs, workspace: Path, drawn: Path, tmp_path: Path
) -> None:
    made = json.loads((drawn / _RESULTS).read_bytes())
    made["assessment-results"]["results"][0]["observations"][0]["methods"] = []
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(made), "utf-8")

    said = programs.run(
        "trestle", "import", "-f", bad, "-o", f"bad-{drawn.name}", cwd=workspace, ok=(_INVALID,)
    )
    assert "methods" in said.stdout + said.stderr


def test_trestle_verifies_the_signature_and_sees_a_change(
    programs: Programs, drawn: Path, tmp_path: Path
) -> None:
    signer = new_signer(tmp_path / "scan.key")
    document = (drawn / _RESULTS).read_bytes()
    signed = sign(oscal_statement(document, name=_RESULTS), signer)
    (tmp_path / "x.dsse.json").write_bytes(dsse(signed))
    (tmp_path / "scan.pub").write_text(signer.public.pem, "utf-8")
    (tmp_path / _RESULTS).write_bytes(document)
    verify = ["verify", "--beta", "-f", _RESULTS, "--signature", "x.dsse.json"]

    programs.run("trestle", *verify, "--public-key", "scan.pub", cwd=tmp_path)
    changed = document.replace(b"not-satisfied", b"satisfied").replace(b'"pass', b'"fail')
    (tmp_path / _RESULTS).write_bytes(changed)
    said = programs.run(
        "trestle", *verify, "--public-key", "scan.pub", cwd=tmp_path, ok=(_INVALID,)
    )

    assert changed != document
    assert "does not match" in said.stdout + said.stderr


@pytest.mark.parametrize("whose", ["ours", "given"])
def test_trestle_verifies_what_lies_in_the_evidence(
    programs: Programs, given: Path | None, tmp_path: Path, whose: str
) -> None:
    if whose == "given":
        if given is None:
            pytest.skip("no EVIDENCE=file was named")
        evidence = given
        key = given.with_name(given.name.removesuffix(".evidence.zip") + ".pub")
    else:
        signer = new_signer(tmp_path / "scan.pem")
        evidence, key = samples.write(samples.scan(), signer, tmp_path), tmp_path / "scan.pub"
    with zipfile.ZipFile(evidence) as archive:
        archive.extractall(tmp_path / "e")
    argv = ["verify", "--beta", "-f", _RESULTS, "--signature", OSCAL, "--public-key", key]

    told = programs.run("trestle", *argv, cwd=tmp_path / "e", ok=(0, _INVALID))

    assert (told.returncode, told.stderr) == (0, "")


def test_cosign_verifies_the_same_signature(drawn: Path, tmp_path: Path) -> None:
    program = cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tooling/get_cosign.py")
    signer = new_signer(tmp_path / "scan.key")
    document = drawn / _RESULTS
    signed = sign(oscal_statement(document.read_bytes(), name=_RESULTS), signer)
    (tmp_path / "x.dsse.json").write_bytes(dsse(signed))
    (tmp_path / "scan.pub").write_text(signer.public.pem, "utf-8")

    argv = [program, "verify-blob-attestation", "--insecure-ignore-tlog", "--key", "scan.pub"]
    argv += ["--type", OSCAL_PREDICATE_TYPE, "--signature", "x.dsse.json", str(document)]
    told = run(argv, timeout_s=60, cwd=tmp_path, env={"HOME": str(tmp_path)})

    assert "Verified OK" in told.stdout + told.stderr
