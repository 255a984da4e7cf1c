"""Damaged repository metadata: it is refused, or gives packages with plain names."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from hardpan.builder.dnf.repodata import MAX_FIELD_LENGTH, read_repository
from hardpan.core.files import sha256_bytes
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.dnf.test_repodata import PACKAGE, PRIMARY, REPOMD

MAX_OPEN_BYTES = 4 << 20
_PIECES = (
    *(bytes([c]) for c in b"<>/&;\"'=!?-[]: \n\0\x1b\xff"),
    *(b"<!DOCTYPE m [", b'<!ENTITY a "b">', b"&a;", b"&#27;", b"&#x202e;", b"<![CDATA[", b"]]>"),
    *(b"<!--x-->", b"<?x y?>", b"<a>", b"<a/>", b"</package>", b"<package>", b"<name>", b'x="y" '),
    *(b"<version ver='1'/>", b"../", b"/etc/passwd", b"http://e.example/", b"sha512", b"md5"),
    *(b'encoding="utf-16"', b'encoding="utf-7"', b'encoding="x"', b'xml:base="/"', b"\xef\xbb\xbf"),
)
_PARTS = (
    PACKAGE.format(name="a"),
    *(PACKAGE.format(name=name) for name in ("", "&#x9b;2J", "n" * 300, "&amp;", "<b/>c", "&e;")),
    *(PACKAGE.format(name="a").replace(x, "") for x in ('ver="580.178.04"', "x86_64", "package=")),
    PACKAGE.format(name="a").replace("1048577", "9" * 40).replace("4000000", "-1"),
    PACKAGE.format(name="a").replace("<package", "<package xmlns='x'"),
    PACKAGE.format(name="a" + PACKAGE.format(name="b")),
    *("<!-- c -->", "<?p i?>", "<![CDATA[x]]>", "text", "&e;", "<a><b/></a>", "<a" + " b=''>"),
    *("<a>" * 300, "<package/>", "</metadata>", "<!DOCTYPE a>", "\ufeff", "<x:a/>", "<a>" + "</a>"),
)
_HEAD, _TAIL = PRIMARY.partition("<package ")[0], "</metadata>"
_PACKED: dict[str, Callable[[bytes], bytes]] = {
    "primary.xml": bytes,
    "primary.xml.gz": lambda data: gzip.compress(data, mtime=0),
    # The default preset takes 90 MiB for each list.
    "primary.xml.xz": lambda data: lzma.compress(data, preset=0),
}


def target(folder: Path) -> FuzzTarget:
    """Repositories in a folder whose repomd.xml, list of packages or packed bytes are damaged."""
    repodata = folder / "repo" / "repodata"
    repodata.mkdir(parents=True)
    originals = {name: pack(PRIMARY.encode()) for name, pack in _PACKED.items()}
    expected: list[str] = []

    def write_repository(name: str, packed: bytes, repomd: bytes | None) -> None:
        (repodata / name).write_bytes(packed)
        text = REPOMD.format(digest=sha256_bytes(packed), href=f"repodata/{name}")
        (repodata / "repomd.xml").write_bytes(text.encode() if repomd is None else repomd)

    def read_names() -> list[str]:
        packages = read_repository(str(repodata.parent), max_uncompressed_bytes=MAX_OPEN_BYTES)
        assert packages.revision.isprintable()
        for rpm in packages.rpms:
            assert rpm.name
            for text in (rpm.name, rpm.version, rpm.release, rpm.arch):
                assert len(text) <= MAX_FIELD_LENGTH
            assert min(rpm.size_bytes, rpm.installed_bytes) >= 0
        return [rpm.name for rpm in packages.rpms]

    def check(value: tuple[str, str, bytes]) -> str:
        kind, name, data = value
        if kind == "repomd.xml":
            write_repository(name, originals[name], data)
            # What repomd.xml says of the list decides nothing but whether it is taken.
            assert read_names() == expected
            return "accepted with the same packages"
        write_repository(name, _PACKED[name](data) if kind == "list" else data, None)
        read_names()
        return "accepted"

    write_repository("primary.xml.gz", originals["primary.xml.gz"], None)
    expected += read_names()
    good = (repodata / "repomd.xml").read_bytes()
    return FuzzTarget(
        name="repodata",
        inputs=st.one_of(
            st.tuples(
                st.just("repomd.xml"), st.just("primary.xml.gz"), mutate_samples([good], _PIECES)
            ),
            st.tuples(
                st.just("list"),
                st.sampled_from(sorted(_PACKED)),
                mutate_samples([PRIMARY.encode()], _PIECES),
            ),
            st.tuples(
                st.just("list"),
                st.sampled_from(sorted(_PACKED)),
                st.lists(st.sampled_from(_PARTS), max_size=6).map(
                    lambda parts: (_HEAD + "".join(parts) + _TAIL).encode()
                ),
            ),
            st.sampled_from(["primary.xml.gz", "primary.xml.xz"]).flatmap(
                lambda name: st.tuples(
                    st.just("packed"), st.just(name), mutate_samples([originals[name]])
                )
            ),
        ),
        check=check,
    )
