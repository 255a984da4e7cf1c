"""CHECKSUM files with OpenPGP signatures: real gpg and gpgv."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder import openpgp
from hardpan.builder.media import expected_digest, published_images, sources
from hardpan.builder.media.checksum_file import read_checksums
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.builder.media.published_images import SigningKey
from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.events import discard
from hardpan.core.files import sha256_file
from hardpan.core.process import run
from tests.integration import openpgp_keys, rocky_dvd
from tests.integration.openpgp_keys import OpenPgpKey

pytestmark = pytest.mark.integration

LINE = f"# a.iso: 3 bytes\nSHA256 (a.iso) = {'a' * 64}\n"


@pytest.fixture(scope="module")
def key() -> Iterator[OpenPgpKey]:
    with tempfile.TemporaryDirectory(prefix="gpg") as name:
        key = openpgp_keys.create_key(Path(name) / "home")
        yield key
        openpgp_keys.stop_agent(key.home)


@pytest.fixture
def checksum(tmp_path: Path) -> Path:
    path = tmp_path / "CHECKSUM"
    path.write_text(LINE)
    return path


@pytest.mark.parametrize("suffix", [".asc", ".sig"])
def test_detached_signature_is_verified(checksum: Path, key: OpenPgpKey, suffix: str) -> None:
    key.sign_detached(checksum, suffix)

    checksums = read_checksums(checksum, key=key.public_key, fingerprint=key.fingerprint)

    assert checksums.fingerprint == key.fingerprint
    assert checksums.entry("a.iso").sha256 == "a" * 64


def test_only_text_inside_a_cleartext_signature_counts(checksum: Path, key: OpenPgpKey) -> None:
    key.sign_cleartext(checksum)
    forged = f"SHA256 (b.iso) = {'b' * 64}\n"
    checksum.write_text(checksum.read_text() + forged)

    assert set(read_checksums(checksum, key=key.public_key, fingerprint=None).entries) == {"a.iso"}


def test_cleartext_signature_is_verified(checksum: Path, key: OpenPgpKey) -> None:
    key.sign_cleartext(checksum)

    assert set(read_checksums(checksum, key=key.public_key, fingerprint=None).entries) == {"a.iso"}


def test_signed_message_is_no_detached_signature(checksum: Path, key: OpenPgpKey) -> None:
    signed = checksum.with_name("other")
    signed.write_text("signed, and says nothing about a.iso\n")
    key.sign_message(signed, checksum.with_name("CHECKSUM.asc"))

    with pytest.raises(TrustError, match="expected one valid signature"):
        read_checksums(checksum, key=key.public_key, fingerprint=key.fingerprint)


@pytest.mark.parametrize("is_cleartext", [True, False])
def test_changed_text_is_rejected(checksum: Path, key: OpenPgpKey, is_cleartext: bool) -> None:
    if is_cleartext:
        key.sign_cleartext(checksum)
    else:
        key.sign_detached(checksum)
    checksum.write_text(checksum.read_text().replace("aaaa", "bbbb"))

    with pytest.raises(TrustError, match="its signature is invalid"):
        read_checksums(checksum, key=key.public_key, fingerprint=key.fingerprint)


def test_signature_of_another_key_is_rejected(checksum: Path, key: OpenPgpKey) -> None:
    key.sign_detached(checksum)
    rocky = published_images.signing_key("rocky9")
    assert rocky is not None

    with pytest.raises(TrustError, match=f"expected a signature of the key {rocky.fingerprint}"):
        read_checksums(checksum, key=rocky.path, fingerprint=rocky.fingerprint)
    with pytest.raises(TrustError, match=f"the key {'0' * 40}, got {key.fingerprint}"):
        read_checksums(checksum, key=key.public_key, fingerprint="0" * 40)


def test_unsigned_checksum_is_rejected(checksum: Path, key: OpenPgpKey) -> None:
    with pytest.raises(TrustError, match=r"not signed: .*CHECKSUM\.asc or CHECKSUM\.sig") as caught:
        read_checksums(checksum, key=key.public_key, fingerprint=None)
    assert "--media-sha256" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "expected an OpenPGP public key, got none"), ("\x99\x01", "expected one valid|the key")],
)
def test_file_without_a_key_is_rejected(
    checksum: Path, key: OpenPgpKey, tmp_path: Path, text: str, problem: str
) -> None:
    key.sign_detached(checksum)
    (tmp_path / "key").write_bytes(text.encode("latin-1"))

    with pytest.raises((InputError, TrustError), match=problem):
        read_checksums(checksum, key=tmp_path / "key", fingerprint=None)


def test_missing_gpgv_is_reported_with_its_package(
    checksum: Path, key: OpenPgpKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key.sign_detached(checksum)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(
        "hardpan.core.limited_process.find_program",
        lambda name: None if name == "gpgv" else Path("/usr/bin") / name,
    )

    with pytest.raises(ToolError, match="gpgv is not installed") as caught:
        openpgp.verify_signature(
            checksum,
            signature=checksum.with_name("CHECKSUM.asc"),
            key=key.public_key,
            fingerprint=None,
        )
    assert "apt install gpgv | dnf install gnupg2" in caught.value.hint


@pytest.mark.parametrize("damage", ["\xf8", "!", "="])
def test_damaged_key_is_rejected(tmp_path: Path, key: OpenPgpKey, damage: str) -> None:
    lines = key.public_key.read_text("ascii").splitlines()
    lines[3] = damage + lines[3]
    (tmp_path / "key").write_text("\n".join(lines), "latin-1")

    with pytest.raises(InputError, match="its ASCII armor is damaged"):
        openpgp.read_keys(tmp_path / "key")


@pytest.mark.parametrize("media", ["rocky9", "rocky10"])
def test_shipped_key_has_the_pinned_fingerprint(media: str, tmp_path: Path) -> None:
    key = published_images.signing_key(media)
    assert key is not None
    argv = ["gpg", "--homedir", tmp_path, "--batch", "--with-colons", "--show-keys", key.path]

    listing = run(argv, timeout_s=60).stdout.splitlines()

    assert next(x.split(":")[9] for x in listing if x.startswith("fpr:")) == key.fingerprint


@pytest.fixture
def signed_dvd(tmp_path: Path, key: OpenPgpKey, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ISO with its CHECKSUM, signed by what is pinned as the key of Rocky Linux 10."""
    iso = rocky_dvd.write_iso(rocky_dvd.complete_dvd(10), tmp_path / "dvd")
    checksum = iso.with_name("CHECKSUM")
    size, digest = iso.stat().st_size, sha256_file(iso)
    checksum.write_text(f"# {iso.name}: {size} bytes\nSHA256 ({iso.name}) = {digest}\n")
    key.sign_detached(checksum)
    pinned = SigningKey(file="public.asc", fingerprint=key.fingerprint)
    monkeypatch.setattr(SigningKey, "path", property(lambda _self: key.public_key))
    monkeypatch.setattr(
        expected_digest, "signing_key", lambda media: pinned if media == "rocky10" else None
    )
    return iso


def test_build_uses_the_signed_checksum(signed_dvd: Path, tmp_path: Path, key: OpenPgpKey) -> None:
    options = DigestOptions(checksum=signed_dvd.with_name("CHECKSUM"))

    def provide(iso: Path) -> str:
        return sources.provide_media(
            "rocky10", file=iso, digest=options, cache=tmp_path, emit=discard
        ).verified_by

    assert provide(signed_dvd) == f"CHECKSUM signed by the key {key.fingerprint}"
    with signed_dvd.open("r+b") as f:
        f.seek(-1, 2)
        f.write(b"x")
    with pytest.raises(TrustError, match="expected sha256"):
        provide(signed_dvd)
    other = signed_dvd.with_name("other.iso")
    shutil.copy(signed_dvd, other)
    with pytest.raises(InputError, match=r"expected a line for 'other\.iso', got lines for"):
        provide(other)
    with signed_dvd.open("ab") as f:
        f.write(b"x" * 2048)
    with pytest.raises(InputError, match=r"expected .* bytes, as .*CHECKSUM says, got"):
        provide(signed_dvd)


def test_inspect_reports_who_attests_to_the_iso(
    signed_dvd: Path, key: OpenPgpKey, capsys: pytest.CaptureFixture[str]
) -> None:
    checksum = str(signed_dvd.with_name("CHECKSUM"))
    argv = ["media", "inspect", str(signed_dvd), "--profile", "rocky10-stig"]

    code = cli.run([*argv, "--checksum", checksum])

    output = capsys.readouterr().out
    assert code == 0, output
    assert f"digest        CHECKSUM signed by the key {key.fingerprint}\n" in output
