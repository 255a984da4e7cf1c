"""Lines of known_hosts as OpenSSH writes and reads them."""

from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.ssh.known_hosts import (
    ListedKey,
    matches_host,
    matches_pattern,
    read_known_hosts,
    select_host_keys,
)
from hardpan.ssh.public_key_blob import decode_base64

HOST = "[127.0.0.1]:2201"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIM42iTIT2Y3LJvrSICkQzJZK2RuG4afMWg0EEghz0skE"
KNOWN_HOSTS_LINE = f"{HOST} ssh-ed25519 {KEY}"
# 'ssh-keygen -H' wrote it for host.example.
HASHED_NAME = "|1|LksORJS/UxwY9xy8iYfX1EQZeiE=|fCysxpieRHOtDrM4Fc2Xmxw2gJI="


def listed_blobs(*lines: str, name: str = HOST) -> list[bytes]:
    return [key.blob for key in select_host_keys(lines, name).listed]


def decode_blob(text: str) -> bytes:
    (only,) = select_host_keys([f"x ssh-ed25519 {text}"], "x").listed
    return only.blob


def test_plain_line_lists_the_host_key() -> None:
    (key,) = select_host_keys([KNOWN_HOSTS_LINE], HOST).listed

    assert key == ListedKey("ssh-ed25519", decode_blob(KEY))
    assert listed_blobs(KNOWN_HOSTS_LINE, name="127.0.0.1") == []


def test_line_may_list_several_hosts() -> None:
    assert listed_blobs(f"a,{HOST},b ssh-ed25519 {KEY} a comment") == [decode_blob(KEY)]


def test_hashed_name_matches() -> None:
    line = f"{HASHED_NAME} ssh-ed25519 {KEY}"

    assert listed_blobs(line, name="host.example") == [decode_blob(KEY)]
    assert listed_blobs(line, name="other.example") == []


@pytest.mark.parametrize(
    "line",
    [
        f"@cert-authority *.example.com ssh-ed25519 {OTHER}",
        f"@cert-authority @revoked {HOST} ssh-ed25519 {OTHER}",
        f"@revoked\t{HOST} ssh-ed25519 {OTHER}",
        f"{HOST} ssh-rsa {OTHER}",
        f"{HOST} ecdsa-sha2-nistp256 {OTHER}",
        f"{HOST} ssh-ed25519 {OTHER[:-8]}",
        f"{HOST} ssh-ed25519 {OTHER}AAAA",
        f"{HOST} ssh-ed25519 {OTHER}====",
        f"{HOST} ssh-ed25519\0 {OTHER}",
        f"{HOST}\0 ssh-ed25519 {OTHER}",
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
def test_unsupported_lines_are_skipped(line: str) -> None:
    result = select_host_keys([line, KNOWN_HOSTS_LINE], HOST)

    assert [key.blob for key in result.listed] == [decode_blob(KEY)]
    assert result.revoked == frozenset()


def test_line_ends_at_a_nul() -> None:
    lines = [f"{HOST} ssh-ed25519 {KEY}\0x", f"@revoked * ssh-ed25519 {OTHER}\0x"]

    result = select_host_keys(lines, HOST)

    assert [key.blob for key in result.listed] == [decode_blob(KEY)]
    assert result.revoked == {decode_blob(OTHER)}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("YQ==", b"a"),
        (" Y Q\r==\x0c", b"a"),
        ("YWI=", b"ab"),
        ("YWJj", b"abc"),
        ("YWJj====", b""),
        ("YQ=", b""),
        ("YR==", b""),
        ("YWJ=", b""),
        ("Y-_j", b""),
    ],
)
def test_base64_is_read_as_openssh_reads_it(text: str, data: bytes) -> None:
    assert decode_base64(text) == data


def test_revoked_key_is_revoked_for_the_hosts_of_its_line() -> None:
    lines = [KNOWN_HOSTS_LINE, f"@revoked *.example ssh-ed25519 {KEY}"]

    assert select_host_keys(lines, HOST).revoked == frozenset()
    assert select_host_keys(lines, "a.example").revoked == {decode_blob(KEY)}


def test_authority_is_listed_for_the_hosts_of_its_line() -> None:
    lines = [f"@cert-authority\t*.example,!b.example\tssh-ed25519\t{OTHER}"]

    (authority,) = select_host_keys(lines, "a.example").authorities
    assert authority.blob == decode_blob(OTHER)
    assert select_host_keys(lines, "b.example").authorities == ()
    assert select_host_keys(lines, "a.example").listed == ()


@pytest.mark.parametrize(
    ("names", "name", "is_match"),
    [
        ("host", "host", True),
        ("HOST", "host", True),
        ("host", "HOST", True),
        ("h?st", "host", True),
        ("h?st", "hst", False),
        ("*", "anything", True),
        ("*.example", "a.b.example", True),
        ("*.example", "example", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*a*b", "xxaxxbxx", False),
        ("", "host", False),
        ("!host,*", "host", False),
        ("*,!host", "host", False),
        ("*,!host", "other", True),
        ("!other", "host", False),
        ("[host]:22", "host", False),
        ("[host]:*", "[host]:2200", True),
        ("a,,host", "host", True),
        ("*" * 2000, "host", False),
        ("host*" * 300, "host", False),
    ],
)
def test_names_of_a_line_are_patterns(names: str, name: str, is_match: bool) -> None:
    assert matches_host(names, name) is is_match


def test_patterns_need_little_time() -> None:
    assert not matches_pattern("a" * 2000, "a*" * 500 + "b")


def test_line_end_of_windows_is_ignored() -> None:
    assert listed_blobs(KNOWN_HOSTS_LINE + "\r") == [decode_blob(KEY)]


def test_hashed_name_stands_alone() -> None:
    assert listed_blobs(f"x,{HASHED_NAME} ssh-ed25519 {KEY}", name="host.example") == []


def test_several_keys_of_the_same_type_are_listed() -> None:
    lines = (KNOWN_HOSTS_LINE, f"{HOST} ssh-ed25519 {OTHER}")

    assert listed_blobs(*lines) == [decode_blob(KEY), decode_blob(OTHER)]


def test_comment_may_have_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(KNOWN_HOSTS_LINE.encode() + b" # B\xfcro\n")

    assert [key.blob for key in read_known_hosts(path, HOST).listed] == [decode_blob(KEY)]


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"known_hosts: cannot be read: No such file"):
        read_known_hosts(tmp_path / "known_hosts", HOST)
