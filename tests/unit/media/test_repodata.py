"""A repository's metadata: what is read from it, and every way it can be broken or hostile."""

import gzip
import http.client
import lzma
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.builder import repository
from hardpan.builder.media import repodata
from hardpan.builder.media.repodata import read
from hardpan.builder.repository import Files
from hardpan.errors import HardpanError, InputError, ToolError, TrustError
from hardpan.files import sha256_bytes

REPOMD = """<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1795000000</revision>
  <data type="filelists"><location href="repodata/filelists.xml.gz"/></data>
  <data type="primary">
    <checksum type="sha256">{digest}</checksum>
    <location href="{href}"/>
    <size>1</size>
  </data>
</repomd>
"""
PACKAGE = """<package type="rpm"><name>{name}</name><arch>x86_64</arch>
<version epoch="3" ver="580.178.04" rel="1.el9"/>
<size package="1048577" installed="4000000" archive="1"/></package>
"""
PRIMARY = (
    '<?xml version="1.0"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" packages="2">'
    + PACKAGE.format(name="nvidia-driver-cuda")
    + PACKAGE.format(name="libnvsdm")
    + "</metadata>"
)

Make = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    def make(
        primary: bytes | str = PRIMARY,
        *,
        pack: Callable[[bytes], bytes] = gzip.compress,
        href: str = "repodata/primary.xml.gz",
        repomd: str = REPOMD,
        digest: str = "",
    ) -> Path:
        packed = pack(primary.encode() if isinstance(primary, str) else primary)
        folder = tmp_path / "repo" / "repodata"
        folder.mkdir(parents=True)
        (folder / href.rpartition("/")[2]).write_bytes(packed)
        text = repomd.replace("{digest}", digest or sha256_bytes(packed)).replace("{href}", href)
        (folder / "repomd.xml").write_text(text, "utf-8")
        return tmp_path / "repo"

    return make


@pytest.mark.parametrize(
    ("pack", "href"),
    [
        (gzip.compress, "repodata/primary.xml.gz"),
        (lzma.compress, "repodata/primary.xml.xz"),
        (bytes, "repodata/primary.xml"),
    ],
)
def test_packages_are_read_however_they_are_packed(
    made: Make, pack: Callable[[bytes], bytes], href: str
) -> None:
    there = read(str(made(pack=pack, href=href)))

    assert [rpm.name for rpm in there.rpms] == ["nvidia-driver-cuda", "libnvsdm"]
    one = there.rpms[0]
    assert (one.version, one.release, one.arch) == ("580.178.04", "1.el9", "x86_64")
    assert (one.size, one.installed) == (1048577, 4000000)
    assert there.revision == "1795000000"


def _entities(text: str, entity: str) -> str:
    return text.replace(
        "?>\n", f'?>\n<!DOCTYPE m [<!ENTITY a "{"a" * 100}"><!ENTITY b "{"&a;" * 100}">]>', 1
    ).replace("nvidia-driver-cuda", entity)


def test_comments_and_instructions_before_the_list_are_passed_over(made: Make) -> None:
    text = PRIMARY.replace("?>\n", "?>\n<!-- c --><?p i?>\n", 1)

    assert len(read(str(made(text))).rpms) == 2


def test_doctype_behind_a_comment_is_seen(made: Make) -> None:
    text = _entities(PRIMARY, "plain").replace("?>\n", "?>\n<!-- c -->", 1)

    with pytest.raises(InputError, match="has a DOCTYPE"):
        read(str(made(text)))


def _cut(data: bytes) -> bytes:
    return gzip.compress(data)[:-20]


def _no_location(text: str) -> str:
    return text.replace('<location href="{href}"/>', "")


BROKEN: list[tuple[dict[str, object], type[HardpanError], str]] = [
    ({"primary": _entities(PRIMARY, "&b;")}, InputError, "has a DOCTYPE"),
    ({"primary": _entities(PRIMARY, "plain")}, InputError, "has a DOCTYPE"),
    ({"repomd": _entities(REPOMD, "")}, InputError, "repomd.xml: has a DOCTYPE"),
    ({"digest": "0" * 64}, TrustError, "expected sha256 0000"),
    ({"digest": "zz"}, TrustError, "expected sha256 zz"),
    ({"pack": _cut}, InputError, "primary.xml.gz: is cut off"),
    ({"pack": lambda d: d}, InputError, "primary.xml.gz: is broken"),
    (
        {"pack": lambda d: lzma.compress(d)[:-20], "href": "repodata/p.xml.xz"},
        InputError,
        "p.xml.xz: is cut off",
    ),
    ({"pack": lambda d: d, "href": "repodata/p.xml.xz"}, InputError, "p.xml.xz: is broken"),
    ({"href": "repodata/primary.xml.bz2"}, InputError, "expected .xml, .gz, .xz or .zst"),
    ({"primary": PRIMARY[:-20]}, InputError, "not whole XML"),
    ({"primary": b""}, InputError, "not whole XML"),
    ({"primary": b"\x00\xff" * 50}, InputError, "not whole XML"),
    ({"primary": PRIMARY.replace("<name>", "<nom>").replace("</name>", "</nom>")}, InputError,
     "package 1: expected a name and a version"),
    ({"repomd": ""}, InputError, "repomd.xml: not whole XML"),
    ({"repomd": REPOMD[:200]}, InputError, "repomd.xml: not whole XML"),
    ({"repomd": REPOMD.replace('"primary"', '"other"')}, InputError,
     "expected one list of type primary, found 0"),
    ({"repomd": REPOMD.replace('"filelists"', '"primary"')}, InputError,
     "expected one list of type primary, found 2"),
    ({"repomd": _no_location(REPOMD)}, InputError, "with location and checksum"),
    ({"repomd": REPOMD.replace('"sha256"', '"md5"')}, InputError,
     "expected one of sha256, sha384, sha512, found 'md5'"),
    ({"repomd": REPOMD.replace('"sha256"', '"sha512"')}, TrustError, "expected sha512 "),
    ({"repomd": REPOMD.replace("<location", '<location xml:base="http://e.example/"')},
     InputError, "expected a location inside of the repository, found a base"),
    ({"repomd": " " * (2 << 20)}, InputError, "expected at most 1048576 bytes, found more"),
]  # fmt: skip


@pytest.mark.parametrize(("spoilt", "kind", "problem"), BROKEN)
def test_broken_metadata_is_told(
    made: Make, spoilt: dict[str, object], kind: type[HardpanError], problem: str
) -> None:
    repo = made(**spoilt)

    with pytest.raises(kind) as caught:
        read(str(repo))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "href",
    [
        "../outside.xml",
        "/etc/passwd",
        "repodata/../../outside.xml",
        "http://e.example/primary.xml",
        "file:///etc/passwd",
        "repodata/a b.xml",
        "",
    ],
)
def test_a_list_outside_of_the_repository_is_not_read(
    made: Make, tmp_path: Path, href: str
) -> None:
    (tmp_path / "outside.xml").write_text(PRIMARY, "utf-8")
    repo = made(repomd=REPOMD.replace("{href}", href))

    with pytest.raises(InputError, match="expected a file inside of the repository"):
        read(str(repo))


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "p.xml.gz"), (lzma.compress, "p.xml.xz"), (bytes, "p.xml")]
)
def test_a_list_that_unpacks_to_too_much_is_left(
    made: Make, pack: Callable[[bytes], bytes], name: str
) -> None:
    repo = made(PRIMARY + " " * (8 << 20), pack=pack, href=f"repodata/{name}")

    with pytest.raises(InputError, match="expected at most 4194304 bytes unpacked, found more"):
        read(str(repo), open_most=4 << 20)


def test_a_packed_list_that_is_too_long_is_left(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repodata, "PACKED_MOST", 100)

    with pytest.raises(InputError, match="expected at most 100 bytes, found more"):
        read(str(made()))


def test_more_packages_than_anybody_has_are_left(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repodata, "_PACKAGES_MOST", 1)

    with pytest.raises(InputError, match="expected at most 1 packages, found more"):
        read(str(made()))


@pytest.mark.parametrize("place", ["<name>", "</metadata"])
def test_elements_that_never_end_a_package_are_left(
    made: Make, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(repodata, "_PARTS_MOST", 50)
    text = PRIMARY.replace(place, f"{'<a/>' * 100}{place}", 1)

    with pytest.raises(InputError, match="found too many other elements"):
        read(str(made(text)))


def test_without_zstd_its_lack_is_told(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repodata, "which", lambda _: None)

    with pytest.raises(ToolError, match="zstd is not installed"):
        read(str(made(href="repodata/primary.xml.zst")))


def test_a_missing_list_is_told(made: Make) -> None:
    repo = made()
    (repo / "repodata" / "primary.xml.gz").unlink()

    with pytest.raises(InputError, match=r"primary\.xml\.gz: no such file"):
        read(str(repo))


def test_a_pipe_in_the_place_of_a_list_does_not_block(made: Make) -> None:
    repo = made()
    (repo / "repodata" / "repomd.xml").unlink()
    os.mkfifo(repo / "repodata" / "repomd.xml")

    with pytest.raises(InputError, match=r"repomd\.xml: expected a regular file, got a pipe"):
        read(str(repo))


@pytest.mark.parametrize("name", ["repodata/repomd.xml", "repodata/primary.xml.gz", "repodata"])
def test_a_link_in_a_repository_is_not_followed(made: Make, tmp_path: Path, name: str) -> None:
    repo = made()
    (repo / name).rename(tmp_path / "elsewhere")
    (repo / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="got a symbolic link"):
        read(str(repo))


def test_a_repository_may_be_a_link_and_a_tree_of_hard_links(made: Make, tmp_path: Path) -> None:
    repo = made()
    os.link(repo / "repodata/primary.xml.gz", tmp_path / "other")
    (tmp_path / "link").symlink_to(repo)

    assert len(read(str(tmp_path / "link")).rpms) == 2


@pytest.mark.parametrize("name", ["repodata/repomd.xml", "repodata/primary.xml.gz"])
def test_a_sparse_file_is_not_read_to_its_end(made: Make, name: str) -> None:
    repo = made()
    os.truncate(repo / name, 40 << 30)

    with pytest.raises(InputError, match=r"expected at most \d+ bytes, found more"):
        read(str(repo))


@pytest.mark.parametrize(
    ("href", "problem"),
    [
        ("repodata/" + "a" * 300 + ".xml", "File name too long"),
        ("a/" * 40 + "primary.xml", "a name is too long: expected at most 32 parts"),
        ("a" * 2000, "a name is too long: .* found 1 and 2000"),
        ("repodata/none.xml", r"none\.xml: no such file"),
        ("repodata", "expected a regular file, got a folder"),
        ("repodata/repomd.xml/primary.xml", "expected a folder, got a regular file"),
    ],
)
def test_a_list_in_an_odd_place_is_told(made: Make, href: str, problem: str) -> None:
    repo = made(repomd=REPOMD.replace("{href}", href))

    with pytest.raises(InputError, match=problem):
        read(str(repo))


@pytest.mark.parametrize("piece", ["<!---->", "<?a?>", "<!-- -->text", "<a b='c'>d</a>"])
@pytest.mark.parametrize("place", ["<name>", "<package", "</metadata"])
def test_pieces_that_never_end_a_package_are_left(
    made: Make, monkeypatch: pytest.MonkeyPatch, place: str, piece: str
) -> None:
    monkeypatch.setattr(repodata, "_PARTS_MOST", 50)
    text = PRIMARY.replace(place, piece * 100 + place, 1)

    with pytest.raises(InputError, match="found too many other elements"):
        read(str(made(text)))


@pytest.mark.parametrize(
    "piece", ["<a>" + "b" * 300_000 + "</a>", "<!--" + "b" * 300_000 + "-->", " " * 300_000]
)
@pytest.mark.parametrize("place", ["<name>", "<package", "</metadata"])
def test_text_that_never_ends_a_package_is_left(
    made: Make, monkeypatch: pytest.MonkeyPatch, place: str, piece: str
) -> None:
    monkeypatch.setattr(repodata, "MAX_PACKAGE_BYTES", 2 << 20)
    text = PRIMARY.replace(place, piece * 15 + place, 1)

    with pytest.raises(InputError, match="expected a package within 2097152 bytes, found none"):
        read(str(made(text)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<name>nvidia-driver-cuda", "<name>" + "n" * 257),
        ("<arch>x86_64", "<arch>" + "x" * 5000),
        ('ver="580.178.04"', f'ver="{"5" * 100_000}"'),
        ('rel="1.el9"', f'rel="{"9" * 257}"'),
    ],
)
def test_names_without_end_are_refused(made: Make, old: str, new: str) -> None:
    with pytest.raises(InputError, match="package 1: expected a name or version of at most 256"):
        read(str(made(PRIMARY.replace(old, new, 1))))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"digest": "\u009b2J\u202e" + "0" * 5000},
        {"repomd": REPOMD.replace('"sha256"', f'"md\u009b{"5" * 5000}"')},
        {"repomd": REPOMD.replace("{href}", "\u009b2J" + "a" * 5000)},
        {"primary": PRIMARY.replace("</name>", "</n\u202eame>", 1)},
        {"primary": PRIMARY.replace("</name>", f"</{'n' * 5000}>", 1)},
    ],
)
def test_an_error_shows_little_of_the_repository_and_no_codes(
    made: Make, spoilt: dict[str, str]
) -> None:
    with pytest.raises(HardpanError) as caught:
        read(str(made(**spoilt)))

    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("repo", "problem"),
    [
        ("/nowhere/at/all", "expected a repository's folder or http(s) address"),
        ("file:///tmp", "expected a folder or an http(s) address"),
        ("ftp://mirror.example/x", "expected a folder or an http(s) address"),
        ("https:///x", "expected a folder or an http(s) address"),
        ("https://me:secret@mirror.example/x", "mirror.example: expected an address without user"),
        ("https://mirror.example/x?token=secret", "without user, password, query and fragment"),
        ("https://mirror.example/a b", "expected an address in plain characters"),
        ("https://mirror.ex\u0430mple/", "expected an address in plain characters"),
    ],
)
def test_an_address_that_is_none_is_refused(repo: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        Files(repo)

    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_https_never_becomes_http() -> None:
    request = urllib.request.Request("https://mirror.example/repodata/repomd.xml")

    with pytest.raises(InputError, match="leads away from https, to 'http://mirror"):
        repository._Redirect().redirect_request(
            request, None, 302, "", http.client.HTTPMessage(), "http://mirror.example/"
        )
