"""Descriptions of media: what is read, what is refused, and the checksum that is replaced."""

import pytest

from hardpan.builder.media.tree import (
    MediaTree,
    TreeVariant,
    parse_discinfo,
    parse_treeinfo,
    replace_checksum,
)
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256

TREEINFO = """\
[checksums]
images/efiboot.img = sha256:1111
images/install.img = sha256:2222

[general]
images/efiboot.img = not a checksum

[release]
name = Rocky Linux
version = 9.8

[tree]
arch = x86_64
variants = AppStream,BaseOS

[variant-AppStream]
repository = AppStream

[variant-BaseOS]
repository = BaseOS/
"""


def test_treeinfo_is_parsed() -> None:
    tree = parse_treeinfo(TREEINFO.encode(), "x")

    assert tree == MediaTree(
        family="Rocky Linux",
        version="9.8",
        arch="x86_64",
        variants=(
            TreeVariant(id="AppStream", repository="AppStream"),
            TreeVariant(id="BaseOS", repository="BaseOS"),
        ),
    )
    assert (tree.major, str(tree)) == ("9", "Rocky Linux 9.8 x86_64")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version = 9.8", "version = 9.x", "release version: expected e.g. 9.6, got '9.x'"),
        ("version = 9.8\n", "", "release version: expected a plain value, got ''"),
        ("Rocky Linux", "Rocky\x1b[2J", "release name: expected a plain value"),
        ("arch = x86_64", "arch = ../x", "tree arch: expected a plain value, got '../x'"),
        ("repository = AppStream", "repository = /etc", "variant AppStream: expected a repository"),
        ("repository = AppStream", "repository = a/../..", "variant AppStream: expected a repos"),
        ("repository = AppStream", "other = x", "variant AppStream: expected a repository inside"),
        ("AppStream,BaseOS", ",".join("ab" * 40), "expected at most 64 variants"),
        ("AppStream,BaseOS", "../x", "expected a plain name of a variant"),
        ("[tree]", "[release]", "expected a description of the media"),
        ("[release]", "release", "expected a description of the media|release version"),
    ],
)
def test_invalid_treeinfo_is_refused(old: str, new: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_treeinfo(TREEINFO.replace(old, new, 1).encode(), "x")


def test_binary_treeinfo_is_refused() -> None:
    with pytest.raises(InputError, match="x: expected a description of the media"):
        parse_treeinfo(b"\xff\x00", "x")


@pytest.mark.parametrize("data", [b"", b"1\n2\n", b"1\n2\n\x1b[2J\n"])
def test_discinfo_without_architecture_is_refused(data: bytes) -> None:
    assert parse_discinfo(b"1.5\nRocky Linux 9.8\nx86_64\n", "x") == "x86_64"
    with pytest.raises(InputError, match="expected the architecture in its third line"):
        parse_discinfo(data, "x")


def test_only_checksum_of_the_file_is_replaced() -> None:
    edited = replace_checksum(TREEINFO.encode(), "images/efiboot.img", Sha256("3" * 64))

    assert edited.decode() == TREEINFO.replace("sha256:1111", f"sha256:{'3' * 64}")
    assert replace_checksum(TREEINFO.encode(), "images/none.img", Sha256("3" * 64)) == (
        TREEINFO.encode()
    )
