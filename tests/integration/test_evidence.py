"""Evidence checked by tools that hardpan's authors did not write: cosign and OpenSSL.

The commands are read from the evidence's VERIFY.md, and run.
"""

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError, TrustError
from hardpan.core.process import CompletedProcess, run
from hardpan.signing import create_signer, load_signer
from tests.tools.get_cosign import find_cosign
from tests.unit.evidence.evidence_fixture import EvidenceFixture
from tests.unit.evidence.evidence_fixture import create_fixture as make_evidence

pytestmark = pytest.mark.integration

_BLOCK = re.compile(r"^```sh (?P<name>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    return make_evidence(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def unpacked(lab: EvidenceFixture, tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(lab.valid_path) as z:
        z.extractall(folder)
    return folder


def _blocks(folder: Path) -> dict[str, str]:
    text = (folder / "VERIFY.md").read_text("utf-8")
    return {m["name"]: m["text"] for m in _BLOCK.finditer(text)}


def _shell(block: str, folder: Path, key: Path) -> CompletedProcess:
    env = {"KEY": str(key), "HOME": str(folder.parent)}
    return run(["sh", "-euc", block], timeout_s=60, cwd=folder, env=env)


def _cosign_block(folder: Path) -> str:
    """The documented cosign command, for the version that is here."""
    program = find_cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tools/get_cosign.py")
    output = run([program, "verify-blob-attestation", "--help"], timeout_s=60).stdout
    new = re.search(r"--new-bundle-format.*default true", output)
    block = _blocks(folder)["cosign3" if new else "cosign2"]
    return f"PATH={program.parent}:$PATH\n{block}"


def _refused(block: str, folder: Path, key: Path) -> str:
    with pytest.raises(ToolError) as caught:
        _shell(block, folder, key)
    return caught.value.output_tail


def test_cosign_accepts_bundle_for_every_attached_file(
    lab: EvidenceFixture, unpacked: Path
) -> None:
    block = _cosign_block(unpacked)
    names = [s["name"] for s in lab.read_statement()["subject"]]

    assert len(names) >= 12
    for name in names:
        _shell(block.replace("findings.json", name), unpacked, lab.folder / "lab.pub")


def test_cosign_rejects_flipped_byte_in_any_attached_file(
    lab: EvidenceFixture, unpacked: Path
) -> None:
    block = _cosign_block(unpacked)
    names = [s["name"] for s in lab.read_statement()["subject"]]

    assert len(names) >= 12
    for name in names:
        data = bytearray((unpacked / name).read_bytes())
        data[len(data) // 2] ^= 1
        (unpacked / name).write_bytes(data)

        output = _refused(block.replace("findings.json", name), unpacked, lab.folder / "lab.pub")
        assert "does not match any digest in statement" in output


def test_cosign_rejects_other_key(lab: EvidenceFixture, unpacked: Path, tmp_path: Path) -> None:
    create_signer(tmp_path / "other.pem")

    output = _refused(_cosign_block(unpacked), unpacked, tmp_path / "other.pub")
    assert "accepted signatures do not match threshold" in output


def test_cosign_rejects_changed_bundle(lab: EvidenceFixture, unpacked: Path) -> None:
    bundle = unpacked / "evidence.sigstore.json"
    text = bundle.read_text()
    at = text.index('"payload":"') + 200
    bundle.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])

    output = _refused(_cosign_block(unpacked), unpacked, lab.folder / "lab.pub")
    assert "accepted signatures do not match threshold" in output


def test_openssl_and_coreutils_accept_evidence(lab: EvidenceFixture, unpacked: Path) -> None:
    blocks = _blocks(unpacked)
    output = _shell(blocks["openssl"], unpacked, lab.folder / "lab.pub").stdout
    _shell(blocks["files"], unpacked, lab.folder / "lab.pub")

    assert "Signature Verified Successfully" in output
    assert lab.scan.public.sha256 in output
    assert lab.scan.public.sha256 in (unpacked / "VERIFY.md").read_text()


def test_openssl_rejects_other_key_and_changed_statement(
    lab: EvidenceFixture, unpacked: Path, tmp_path: Path
) -> None:
    openssl = _blocks(unpacked)["openssl"]
    create_signer(tmp_path / "other.pem")
    output = _refused(openssl, unpacked, tmp_path / "other.pub")
    assert output.endswith("Signature Verification Failure")

    statement = unpacked / "statement.json"
    statement.write_bytes(statement.read_bytes().replace(b'"fail":2', b'"fail":0'))
    output = _refused(openssl, unpacked, lab.folder / "lab.pub")
    assert output.endswith("Signature Verification Failure")


def test_documented_commands_detect_file_changes(lab: EvidenceFixture, unpacked: Path) -> None:
    files, key = _blocks(unpacked)["files"], lab.folder / "lab.pub"
    first, second = unpacked / "arf-1.xml", unpacked / "arf-2.xml"
    keep = first.read_bytes()

    first.write_bytes(keep.replace(b"a", b"b", 1))
    _refused(files, unpacked, key)
    first.write_bytes(second.read_bytes())
    second.write_bytes(keep)
    _refused(files, unpacked, key)
    second.write_bytes(first.read_bytes())
    first.write_bytes(keep)
    _shell(files, unpacked, key)
    (unpacked / ".more").touch()
    _refused(files, unpacked, key)
    (unpacked / ".more").unlink()
    first.unlink()
    _refused(files, unpacked, key)


def test_archive_repacked_by_other_tool_is_rejected(
    lab: EvidenceFixture, unpacked: Path, tmp_path: Path
) -> None:
    shutil.make_archive(str(tmp_path / "again"), "zip", unpacked)

    with pytest.raises(TrustError, match=r"not as hardpan writes it|not a safe file name"):
        lab.verify(tmp_path / "again.zip")


def test_keys_are_interchangeable_with_openssl(tmp_path: Path) -> None:
    openssl_key = tmp_path / "openssl.pem"
    argv = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run([*argv, "-out", openssl_key], timeout_s=30)
    openssl_key.chmod(0o600)
    signer = load_signer(openssl_key)
    signer.public.verify(signer.sign(b"x"), b"x")

    create_signer(tmp_path / "ours.pem")
    output = run(["openssl", "pkey", "-in", tmp_path / "ours.pem", "-pubout"], timeout_s=30).stdout
    assert output == (tmp_path / "ours.pub").read_text()
