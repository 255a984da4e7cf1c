"""Lines of known_hosts as OpenSSH writes and reads them."""

from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.scanners.known_hosts import ListedKey, known_keys, read_known_hosts

HOST = "[127.0.0.1]:2201"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIM42iTIT2Y3LJvrSICkQzJZK2RuG4afMWg0EEghz0skE"
LINE = f"{HOST} ssh-ed25519 {KEY}"
# 'ssh-keygen -H' wrote it for host.example.
HASHED_NAME = "|1|LksORJS/UxwY9xy8iYfX1EQZeiE=|fCysxpieRHOtDrM4Fc2Xmxw2gJI="


def blobs(*lines: str, name: str = HOST) -> list[bytes]:
    return [key.blob for key in known_keys(lines, name).listed]


def blob(text: str) -> bytes:
    (only,) = known_keys([f"x ssh-ed25519 {text}"], "x").listed
    return only.blob


def test_a_plain_line_lists_the_hosts_key() -> None:
    (key,) = known_keys([LINE], HOST).listed

    assert key == ListedKey("ssh-ed25519", blob(KEY))
    assert blobs(LINE, name="127.0.0.1") == []


def test_one_line_may_name_several_hosts() -> None:
    assert blobs(f"a,{HOST},b ssh-ed25519 {KEY} a comment") == [blob(KEY)]


def test_a_hashed_name_is_found() -> None:
    line = f"{HASHED_NAME} ssh-ed25519 {KEY}"

    assert blobs(line, name="host.example") == [blob(KEY)]
    assert blobs(line, name="other.example") == []


@pytest.mark.parametrize(
    "line",
    [
        f"@cert-authority *.example.com ssh-ed25519 {OTHER}",
        f"@cert-authority {HOST} ssh-ed25519 {OTHER}",
        f"@no-such-marker {HOST} ssh-ed25519 {OTHER}",
        f"{HOST} ssh-ed25519 notbase64!!",
        f"{HOST} ssh-ed25519",
        f"|1|not-base64!|x ssh-ed25519 {OTHER}",
        f"|1| ssh-ed25519 {OTHER}",
        f"# {HOST} ssh-ed25519 {OTHER}",
        "@revoked",
        "@cert-authority",
        "",
        "\t",
    ],
)
def test_any_other_line_is_skipped(line: str) -> None:
    found = known_keys([line, LINE], HOST)

    assert [key.blob for key in found.listed] == [blob(KEY)]
    assert found.revoked == frozenset()


def test_a_revoked_key_is_listed_as_such_whatever_its_host() -> None:
    found = known_keys([LINE, f"@revoked * ssh-ed25519 {KEY}"], HOST)

    assert found.revoked == {blob(KEY)}


def test_a_comment_may_be_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(LINE.encode() + b" # B\xfcro\n")

    assert [key.blob for key in read_known_hosts(path, HOST).listed] == [blob(KEY)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"known_hosts: cannot be read: No such file"):
        read_known_hosts(tmp_path / "known_hosts", HOST)
