"""A repository's metadata: what is read from it, and every way it can be broken or hostile."""

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.builder.dnf import decompression, metadata_xml, repodata, repomd
from hardpan.builder.dnf.repodata import read_repository
from hardpan.builder.dnf.repository import RepositoryClient
from hardpan.core.errors import HardpanError, InputError, ToolError, TrustError
from hardpan.core.files import sha256_bytes

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

MakeRepository = Callable[..., Path]


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    def build(
        primary: bytes | str = PRIMARY,
        *,
        pack: Callable[[bytes], bytes] = gzip.compress,
        href: str = "repodata/primary.xml.gz",
        repomd: str = REPOMD,
        digest: str = "",
    ) -> Path:
        compressed = pack(primary.encode() if isinstance(primary, str) else primary)
        folder = tmp_path / "repo" / "repodata"
        folder.mkdir(parents=True)
        (folder / href.rpartition("/")[2]).write_bytes(compressed)
        text = repomd.replace("{digest}", digest or sha256_bytes(compressed)).replace(
            "{href}", href
        )
        (folder / "repomd.xml").write_text(text, "utf-8")
        return tmp_path / "repo"

    return build


@pytest.mark.parametrize(
    ("pack", "href"),
    [
        (gzip.compress, "repodata/primary.xml.gz"),
        (lzma.compress, "repodata/primary.xml.xz"),
        (bytes, "repodata/primary.xml"),
    ],
)
def test_packages_are_read_from_every_compression(
    make_repository: MakeRepository, pack: Callable[[bytes], bytes], href: str
) -> None:
    index = read_repository(str(make_repository(pack=pack, href=href)))

    assert [rpm.name for rpm in index.rpms] == ["nvidia-driver-cuda", "libnvsdm"]
    package = index.rpms[0]
    assert (package.version, package.release, package.arch) == ("580.178.04", "1.el9", "x86_64")
    assert (package.size_bytes, package.installed_bytes) == (1048577, 4000000)
    assert index.revision == "1795000000"


def _entities(text: str, entity: str) -> str:
    return text.replace(
        "?>\n", f'?>\n<!DOCTYPE m [<!ENTITY a "{"a" * 100}"><!ENTITY b "{"&a;" * 100}">]>', 1
    ).replace("nvidia-driver-cuda", entity)


def test_comments_before_root_are_ignored(make_repository: MakeRepository) -> None:
    text = PRIMARY.replace("?>\n", "?>\n<!-- c --><?p i?>\n", 1)

    assert len(read_repository(str(make_repository(text))).rpms) == 2


def test_doctype_after_comment_is_rejected(make_repository: MakeRepository) -> None:
    text = _entities(PRIMARY, "plain").replace("?>\n", "?>\n<!-- c -->", 1)

    with pytest.raises(InputError, match="has a DOCTYPE"):
        read_repository(str(make_repository(text)))


def _truncate(data: bytes) -> bytes:
    return gzip.compress(data)[:-20]


def _remove_location(text: str) -> str:
    return text.replace('<location href="{href}"/>', "")


BROKEN_METADATA: list[tuple[dict[str, object], type[HardpanError], str]] = [
    ({"primary": _entities(PRIMARY, "&b;")}, InputError, "has a DOCTYPE"),
    ({"primary": _entities(PRIMARY, "plain")}, InputError, "has a DOCTYPE"),
    ({"repomd": _entities(REPOMD, "")}, InputError, "repomd.xml: has a DOCTYPE"),
    ({"digest": "0" * 64}, TrustError, "expected sha256 0000"),
    ({"digest": "zz"}, TrustError, "expected sha256 zz"),
    ({"pack": _truncate}, InputError, "primary.xml.gz: is truncated"),
    ({"pack": lambda d: d}, InputError, "primary.xml.gz: is damaged"),
    (
        {"pack": lambda d: lzma.compress(d)[:-20], "href": "repodata/p.xml.xz"},
        InputError,
        "p.xml.xz: is truncated",
    ),
    ({"pack": lambda d: d, "href": "repodata/p.xml.xz"}, InputError, "p.xml.xz: is damaged"),
    ({"href": "repodata/primary.xml.bz2"}, InputError, "expected .xml, .gz, .xz or .zst"),
    ({"primary": PRIMARY[:-20]}, InputError, "invalid XML"),
    ({"primary": b""}, InputError, "invalid XML"),
    ({"primary": b"\x00\xff" * 50}, InputError, "invalid XML"),
    ({"primary": PRIMARY.replace("<name>", "<nom>").replace("</name>", "</nom>")}, InputError,
     "package 1: expected a name and a version"),
    ({"repomd": ""}, InputError, "repomd.xml: invalid XML"),
    ({"repomd": REPOMD[:200]}, InputError, "repomd.xml: invalid XML"),
    ({"repomd": REPOMD.replace('"primary"', '"other"')}, InputError,
     "expected one list of type primary, got 0"),
    ({"repomd": REPOMD.replace('"filelists"', '"primary"')}, InputError,
     "expected one list of type primary, got 2"),
    ({"repomd": _remove_location(REPOMD)}, InputError, "with location and checksum"),
    ({"repomd": REPOMD.replace('"sha256"', '"md5"')}, InputError,
     "expected one of sha256, sha384, sha512, got 'md5'"),
    ({"repomd": REPOMD.replace('"sha256"', '"sha512"')}, TrustError, "expected sha512 "),
    ({"repomd": REPOMD.replace("<location", '<location xml:base="http://e.example/"')},
     InputError, "expected a location inside of the repository, got a base"),
    ({"repomd": " " * (2 << 20)}, InputError, "expected at most 1048576 bytes, got more"),
]  # fmt: skip


@pytest.mark.parametrize(("spoilt", "kind", "problem"), BROKEN_METADATA)
def test_broken_metadata_is_reported(
    make_repository: MakeRepository,
    spoilt: dict[str, object],
    kind: type[HardpanError],
    problem: str,
) -> None:
    repo = make_repository(**spoilt)

    with pytest.raises(kind) as caught:
        read_repository(str(repo))

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
def test_primary_outside_repository_is_rejected(
    make_repository: MakeRepository, tmp_path: Path, href: str
) -> None:
    (tmp_path / "outside.xml").write_text(PRIMARY, "utf-8")
    repo = make_repository(repomd=REPOMD.replace("{href}", href))

    with pytest.raises(InputError, match="expected a file inside of the repository"):
        read_repository(str(repo))


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "p.xml.gz"), (lzma.compress, "p.xml.xz"), (bytes, "p.xml")]
)
def test_uncompressed_size_is_limited(
    make_repository: MakeRepository, pack: Callable[[bytes], bytes], name: str
) -> None:
    repo = make_repository(PRIMARY + " " * (8 << 20), pack=pack, href=f"repodata/{name}")

    with pytest.raises(InputError, match="expected at most 4194304 bytes unpacked, got more"):
        read_repository(str(repo), max_uncompressed_bytes=4 << 20)


def test_compressed_size_is_limited(
    make_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repomd, "MAX_COMPRESSED_BYTES", 100)

    with pytest.raises(InputError, match="expected at most 100 bytes, got more"):
        read_repository(str(make_repository()))


def test_package_count_is_limited(
    make_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repodata, "_MAX_PACKAGES", 1)

    with pytest.raises(InputError, match="expected at most 1 packages, got more"):
        read_repository(str(make_repository()))


@pytest.mark.parametrize("place", ["<name>", "</metadata"])
def test_element_count_per_package_is_limited(
    make_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(metadata_xml, "MAX_ELEMENTS", 50)
    text = PRIMARY.replace(place, f"{'<a/>' * 100}{place}", 1)

    with pytest.raises(InputError, match="got too many other elements"):
        read_repository(str(make_repository(text)))


def test_missing_zstd_is_reported(
    make_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompression, "find_program", lambda _: None)

    with pytest.raises(ToolError, match="zstd is not installed"):
        read_repository(str(make_repository(href="repodata/primary.xml.zst")))


def test_missing_primary_is_reported(make_repository: MakeRepository) -> None:
    repo = make_repository()
    (repo / "repodata" / "primary.xml.gz").unlink()

    with pytest.raises(InputError, match=r"primary\.xml\.gz: no such file"):
        read_repository(str(repo))


def test_pipe_as_repomd_does_not_block(make_repository: MakeRepository) -> None:
    repo = make_repository()
    (repo / "repodata" / "repomd.xml").unlink()
    os.mkfifo(repo / "repodata" / "repomd.xml")

    with pytest.raises(InputError, match=r"repomd\.xml: expected a regular file, got a pipe"):
        read_repository(str(repo))


@pytest.mark.parametrize("name", ["repodata/repomd.xml", "repodata/primary.xml.gz", "repodata"])
def test_symlink_in_repository_is_not_followed(
    make_repository: MakeRepository, tmp_path: Path, name: str
) -> None:
    repo = make_repository()
    (repo / name).rename(tmp_path / "elsewhere")
    (repo / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="got a symbolic link"):
        read_repository(str(repo))


def test_linked_repository_with_hard_links_is_accepted(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    repo = make_repository()
    os.link(repo / "repodata/primary.xml.gz", tmp_path / "other")
    (tmp_path / "link").symlink_to(repo)

    assert len(read_repository(str(tmp_path / "link")).rpms) == 2


@pytest.mark.parametrize("name", ["repodata/repomd.xml", "repodata/primary.xml.gz"])
def test_sparse_file_size_is_limited(make_repository: MakeRepository, name: str) -> None:
    repo = make_repository()
    os.truncate(repo / name, 40 << 30)

    with pytest.raises(InputError, match=r"expected at most \d+ bytes, got more"):
        read_repository(str(repo))


@pytest.mark.parametrize(
    ("href", "problem"),
    [
        ("repodata/" + "a" * 300 + ".xml", "File name too long"),
        ("a/" * 40 + "primary.xml", "a name is too long: expected at most 32 parts"),
        ("a" * 2000, "a name is too long: .* got 1 and 2000"),
        ("repodata/none.xml", r"none\.xml: no such file"),
        ("repodata", "expected a regular file, got a folder"),
        ("repodata/repomd.xml/primary.xml", "expected a folder, got a regular file"),
    ],
)
def test_invalid_primary_location_is_reported(
    make_repository: MakeRepository, href: str, problem: str
) -> None:
    repo = make_repository(repomd=REPOMD.replace("{href}", href))

    with pytest.raises(InputError, match=problem):
        read_repository(str(repo))


@pytest.mark.parametrize("piece", ["<!---->", "<?a?>", "<!-- -->text", "<a b='c'>d</a>"])
@pytest.mark.parametrize("place", ["<name>", "<package", "</metadata"])
def test_comments_and_elements_per_package_are_limited(
    make_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch, place: str, piece: str
) -> None:
    monkeypatch.setattr(metadata_xml, "MAX_ELEMENTS", 50)
    text = PRIMARY.replace(place, piece * 100 + place, 1)

    with pytest.raises(InputError, match="got too many other elements"):
        read_repository(str(make_repository(text)))


@pytest.mark.parametrize(
    "piece", ["<a>" + "b" * 300_000 + "</a>", "<!--" + "b" * 300_000 + "-->", " " * 300_000]
)
@pytest.mark.parametrize("place", ["<name>", "<package", "</metadata"])
def test_text_per_package_is_limited(
    make_repository: MakeRepository, monkeypatch: pytest.MonkeyPatch, place: str, piece: str
) -> None:
    monkeypatch.setattr(metadata_xml, "MAX_PACKAGE_BYTES", 2 << 20)
    text = PRIMARY.replace(place, piece * 15 + place, 1)

    with pytest.raises(InputError, match="expected a package within 2097152 bytes, got none"):
        read_repository(str(make_repository(text)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<name>nvidia-driver-cuda", "<name>" + "n" * 257),
        ("<arch>x86_64", "<arch>" + "x" * 5000),
        ('ver="580.178.04"', f'ver="{"5" * 100_000}"'),
        ('rel="1.el9"', f'rel="{"9" * 257}"'),
    ],
)
def test_field_length_is_limited(make_repository: MakeRepository, old: str, new: str) -> None:
    with pytest.raises(InputError, match="package 1: expected a name or version of at most 256"):
        read_repository(str(make_repository(PRIMARY.replace(old, new, 1))))


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
def test_error_is_short_and_printable(
    make_repository: MakeRepository, spoilt: dict[str, str]
) -> None:
    with pytest.raises(HardpanError) as caught:
        read_repository(str(make_repository(**spoilt)))

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
def test_invalid_repository_address_is_rejected(repo: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        RepositoryClient(repo)

    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
