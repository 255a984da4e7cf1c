"""Damaged descriptions of media (.treeinfo): refused, or repositories inside of the media."""

from pathlib import Path, PurePosixPath

from hardpan.builder.media.tree import parse_treeinfo, replace_checksum
from hardpan.core.files import Sha256
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.media.test_tree import TREEINFO

_DIGEST = Sha256("a" * 64)
_LINE = f"sha256:{_DIGEST}".encode()
_PIECES = (
    *(bytes([c]) for c in b"[]=:;#%\n\r\t ,./\\\0\x1b\xff"),
    *(
        b"[tree]\n",
        b"[DEFAULT]\n",
        b"[checksums]\n",
        b"[variant-",
        b"repository = ",
        b"../",
        b"/etc",
    ),
    *(
        b"%(name)s",
        b"${a}",
        b"variants = ",
        b"\xe2\x80\xae",
        b"images/install.img = sha256:",
        b"a," * 99,
    ),
)


def target(folder: Path) -> FuzzTarget:
    """Descriptions with damaged bytes; also the one whose checksum is replaced."""

    def check(data: bytes) -> str:
        edited = replace_checksum(data, "images/install.img", _DIGEST)
        # Only lines of that file change, and the second time nothing does.
        assert replace_checksum(edited, "images/install.img", _DIGEST) == edited
        assert edited == data or _LINE in edited
        tree = parse_treeinfo(data, ".treeinfo")
        for variant in tree.variants:
            path = PurePosixPath(variant.repository)
            assert not path.is_absolute()
            assert ".." not in path.parts
        return "accepted" if tree.variants else "accepted as empty"

    sample = TREEINFO.encode()
    return FuzzTarget(
        name="treeinfo",
        inputs=mutate_samples([sample], _PIECES) | mutate_samples([sample]),
        check=check,
    )
