"""Evidence checked by tools that hardpan's authors did not write: cosign and OpenSSL.

The commands are taken from VERIFY.md as it lies in the evidence, and run.
"""

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from hardpan.errors import ToolError, TrustError
from hardpan.process import Completed, run
from hardpan.signing import load_signer, new_signer
from tests.tooling.get_cosign import cosign
from tests.unit.evidence.forge import Lab
from tests.unit.evidence.forge import lab as make

pytestmark = pytest.mark.integration

_BLOCK = re.compile(r"^```sh (?P<name>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def unpacked(lab: Lab, tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(lab.good) as z:
        z.extractall(folder)
    return folder


def _blocks(folder: Path) -> dict[str, str]:
    text = (folder / "VERIFY.md").read_text("utf-8")
    return {m["name"]: m["text"] for m in _BLOCK.finditer(text)}


def _shell(block: str, folder: Path, key: Path) -> Completed:
    env = {"KEY": str(key), "HOME": str(folder.parent)}
    return run(["sh", "-euc", block], timeout_s=60, cwd=folder, env=env)


def _cosign_block(folder: Path) -> str:
    """The documented cosign command, for the version that is here."""
    program = cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tooling/get_cosign.py")
    told = run([program, "verify-blob-attestation", "--help"], timeout_s=60).stdout
    new = re.search(r"--new-bundle-format.*default true", told)
    block = _blocks(folder)["cosign3" if new else "cosign2"]
    return f"PATH={program.parent}:$PATH\n{block}"


def _refused(block: str, folder: Path, key: Path) -> str:
    with pytest.raises(ToolError) as caught:
        _shell(block, folder, key)
    return caught.value.tail


def test_cosign_accepts_the_bundle_unchanged_for_every_attached_file(
    lab: Lab, unpacked: Path
) -> None:
    block = _cosign_block(unpacked)
    names = [s["name"] for s in lab.statement()["subject"]]

    assert len(names) >= 12
    for name in names:
        _shell(block.replace("findings.json", name), unpacked, lab.folder / "lab.pub")


def test_cosign_refuses_every_attached_file_with_a_flipped_byte(lab: Lab, unpacked: Path) -> None:
    block = _cosign_block(unpacked)
    names = [s["name"] for s in lab.statement()["subject"]]

    assert len(names) >= 12
    for name in names:
        data = bytearray((unpacked / name).read_bytes())
        data[len(data) // 2] ^= 1
        (unpacked / name).write_bytes(data)

        told = _refused(block.replace("findings.json", name), unpacked, lab.folder / "lab.pub")
        assert "does not match any digest in statement" in told


def test_cosign_refuses_another_key(lab: Lab, unpacked: Path, tmp_path: Path) -> None:
    new_signer(tmp_path / "other.pem")

    told = _refused(_cosign_block(unpacked), unpacked, tmp_path / "other.pub")
    assert "accepted signatures do not match threshold" in told


def test_cosign_refuses_a_changed_bundle(lab: Lab, unpacked: Path) -> None:
    bundle = unpacked / "evidence.sigstore.json"
    text = bundle.read_text()
    at = text.index('"payload":"') + 200
    bundle.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])

    told = _refused(_cosign_block(unpacked), unpacked, lab.folder / "lab.pub")
    assert "accepted signatures do not match threshold" in told


def test_openssl_and_coreutils_alone_accept_it(lab: Lab, unpacked: Path) -> None:
    blocks = _blocks(unpacked)
    told = _shell(blocks["openssl"], unpacked, lab.folder / "lab.pub").stdout
    _shell(blocks["files"], unpacked, lab.folder / "lab.pub")

    assert "Signature Verified Successfully" in told
    assert lab.scan.public.sha256 in told
    assert lab.scan.public.sha256 in (unpacked / "VERIFY.md").read_text()


def test_openssl_refuses_another_key_and_a_changed_statement(
    lab: Lab, unpacked: Path, tmp_path: Path
) -> None:
    openssl = _blocks(unpacked)["openssl"]
    new_signer(tmp_path / "other.pem")
    told = _refused(openssl, unpacked, tmp_path / "other.pub")
    assert told.endswith("Signature Verification Failure")

    statement = unpacked / "statement.json"
    statement.write_bytes(statement.read_bytes().replace(b'"fail":2', b'"fail":0'))
    told = _refused(openssl, unpacked, lab.folder / "lab.pub")
    assert told.endswith("Signature Verification Failure")


def test_the_documented_commands_notice_changed_added_missing_and_swapped_files(
    lab: Lab, unpacked: Path
) -> None:
    files, key = _blocks(unpacked)["files"], lab.folder / "lab.pub"
    one, two = unpacked / "arf-1.xml", unpacked / "arf-2.xml"
    keep = one.read_bytes()

    one.write_bytes(keep.replace(b"a", b"b", 1))
    _refused(files, unpacked, key)
    one.write_bytes(two.read_bytes())
    two.write_bytes(keep)
    _refused(files, unpacked, key)
    two.write_bytes(one.read_bytes())
    one.write_bytes(keep)
    _shell(files, unpacked, key)
    (unpacked / ".more").touch()
    _refused(files, unpacked, key)
    (unpacked / ".more").unlink()
    one.unlink()
    _refused(files, unpacked, key)


def test_an_archive_that_another_tool_packed_is_refused_and_says_so(
    lab: Lab, unpacked: Path, tmp_path: Path
) -> None:
    shutil.make_archive(str(tmp_path / "again"), "zip", unpacked)

    with pytest.raises(TrustError, match=r"not as hardpan writes it|not a safe file name"):
        lab.verify(tmp_path / "again.zip")


def test_a_key_that_openssl_made_signs_and_a_key_we_made_loads_in_openssl(tmp_path: Path) -> None:
    made = tmp_path / "openssl.pem"
    argv = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run([*argv, "-out", made], timeout_s=30)
    made.chmod(0o600)
    signer = load_signer(made)
    signer.public.check(signer.sign(b"x"), b"x")

    new_signer(tmp_path / "ours.pem")
    told = run(["openssl", "pkey", "-in", tmp_path / "ours.pem", "-pubout"], timeout_s=30).stdout
    assert told == (tmp_path / "ours.pub").read_text()
