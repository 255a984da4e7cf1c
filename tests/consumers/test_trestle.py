"""compliance-trestle imports and validates the OSCAL files and verifies their signature."""

import json
import zipfile
from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.scanners.evidence.file_names import OSCAL
from hardpan.scanners.evidence.predicates.oscal_signing import (
    OSCAL_PREDICATE_TYPE,
    build_oscal_statement,
    extract_dsse,
)
from hardpan.signing import create_signer, sign
from tests.consumers.conftest import EVIDENCE, Consumers, require_evidence
from tests.tools.get_cosign import find_cosign
from tests.unit.evidence import samples

pytestmark = pytest.mark.interop

_RESULTS = "assessment-results.json"
_INVALID = 1


@pytest.fixture(scope="session")
def workspace(programs: Consumers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trestle")
    programs.run("trestle", "init", "--local", cwd=folder)
    return folder


@pytest.mark.parametrize("name", [_RESULTS, "poam.json"])
def test_trestle_imports_and_validates(
    programs: Consumers, workspace: Path, rendered_folder: Path, name: str
) -> None:
    model = f"{rendered_folder.name}-{name.partition('.')[0]}"
    programs.run("trestle", "import", "-f", rendered_folder / name, "-o", model, cwd=workspace)
    (stored,) = workspace.glob(f"*/{model}/*.json")
    completed = programs.run("trestle", "validate", "-f", stored, cwd=workspace)

    assert "VALID: Model" in completed.stdout + completed.stderr


def test_trestle_rejects_invalid_document(
    programs: Consumers, workspace: Path, rendered_folder: Path, tmp_path: Path
) -> None:
    document = json.loads((rendered_folder / _RESULTS).read_bytes())
    document["assessment-results"]["results"][0]["observations"][0]["methods"] = []
    invalid = tmp_path / "bad.json"
    invalid.write_text(json.dumps(document), "utf-8")

    completed = programs.run(
        "trestle",
        "import",
        "-f",
        invalid,
        "-o",
        f"bad-{rendered_folder.name}",
        cwd=workspace,
        ok=(_INVALID,),
    )
    assert "methods" in completed.stdout + completed.stderr


def test_trestle_detects_changed_document(
    programs: Consumers, rendered_folder: Path, tmp_path: Path
) -> None:
    signer = create_signer(tmp_path / "scan.key")
    document = (rendered_folder / _RESULTS).read_bytes()
    signed = sign(build_oscal_statement(document, name=_RESULTS), signer)
    (tmp_path / "x.dsse.json").write_bytes(extract_dsse(signed))
    (tmp_path / "scan.pub").write_text(signer.public.pem, "utf-8")
    (tmp_path / _RESULTS).write_bytes(document)
    verify = ["verify", "--beta", "-f", _RESULTS, "--signature", "x.dsse.json"]

    programs.run("trestle", *verify, "--public-key", "scan.pub", cwd=tmp_path)
    changed = document.replace(b"not-satisfied", b"satisfied").replace(b'"pass', b'"fail')
    (tmp_path / _RESULTS).write_bytes(changed)
    completed = programs.run(
        "trestle", *verify, "--public-key", "scan.pub", cwd=tmp_path, ok=(_INVALID,)
    )

    assert changed != document
    assert "does not match" in completed.stdout + completed.stderr


@pytest.mark.parametrize("source", ["ours", EVIDENCE])
def test_trestle_verifies_signature_in_evidence(
    programs: Consumers, named_evidence: Path | None, tmp_path: Path, source: str
) -> None:
    if source == "given":
        evidence = require_evidence(named_evidence)
        key = evidence.with_name(evidence.name.removesuffix(".evidence.zip") + ".pub")
    else:
        signer = create_signer(tmp_path / "scan.pem")
        evidence, key = (
            samples.write_evidence(samples.scan(), signer, tmp_path),
            tmp_path / "scan.pub",
        )
    with zipfile.ZipFile(evidence) as archive:
        archive.extractall(tmp_path / "e")
    argv = ["verify", "--beta", "-f", _RESULTS, "--signature", OSCAL, "--public-key", key]

    completed = programs.run("trestle", *argv, cwd=tmp_path / "e", ok=(0, _INVALID))

    assert (completed.returncode, completed.stderr) == (0, "")


def test_cosign_verifies_the_same_signature(rendered_folder: Path, tmp_path: Path) -> None:
    program = find_cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tools/get_cosign.py")
    signer = create_signer(tmp_path / "scan.key")
    document = rendered_folder / _RESULTS
    signed = sign(build_oscal_statement(document.read_bytes(), name=_RESULTS), signer)
    (tmp_path / "x.dsse.json").write_bytes(extract_dsse(signed))
    (tmp_path / "scan.pub").write_text(signer.public.pem, "utf-8")

    argv = [program, "verify-blob-attestation", "--insecure-ignore-tlog", "--key", "scan.pub"]
    argv += ["--type", OSCAL_PREDICATE_TYPE, "--signature", "x.dsse.json", str(document)]
    completed = run(argv, timeout_s=60, cwd=tmp_path, env={"HOME": str(tmp_path)})

    assert "Verified OK" in completed.stdout + completed.stderr
