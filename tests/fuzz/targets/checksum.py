"""Damaged CHECKSUM files and keys: each is refused, or every entry of the result is well-formed."""

import re
from pathlib import Path

from hypothesis import strategies as st

from hardpan.builder.media.checksum_file import parse_checksums
from hardpan.builder.media.published_images import signing_key
from hardpan.builder.openpgp import read_keys
from tests.fuzz.target import FuzzTarget, mutate_samples

_CHECKSUM = f"""\
# Rocky-9.7-x86_64-dvd.iso: 13360889856 bytes
SHA256 (Rocky-9.7-x86_64-dvd.iso) = {"a" * 64}
# Rocky-9.7-x86_64-boot.iso: 1353646080 bytes
SHA256 (Rocky-9.7-x86_64-boot.iso) = {"b" * 64}
""".encode()
_CHECKSUM_PIECES = (
    *(b"SHA256 (", b") = ", b"# ", b": 9 bytes", b"../", b"\0", b"\r\n", b"\x85", b"(", b"a" * 64),
    *("\u2028".encode(), "\u0663".encode(), b"\xff", b"-----BEGIN PGP SIGNED MESSAGE-----\n"),
)
_KEY_PIECES = (
    *(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", b"-----END PGP PUBLIC KEY BLOCK-----\n"),
    *(b"\n\n", b"=", b"=AAAA\n", b"\r\n", b"\x99\x01", b"\xff"),
)


def target(folder: Path) -> FuzzTarget:
    """Both kinds of files, each for its reader."""
    key = signing_key("rocky9")
    assert key is not None
    key_file = folder / "key"

    def check(value: tuple[str, bytes]) -> str:
        kind, data = value
        if kind == "key":
            key_file.write_bytes(data)
            return "a key" if read_keys(key_file) else "an empty key"
        entries = parse_checksums(data.decode("utf-8", "replace"), "CHECKSUM")
        for name, entry in entries.items():
            assert "/" not in name
            assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
            assert entry.size_bytes is None or entry.size_bytes >= 0
        return f"{min(len(entries), 3)} entries"

    return FuzzTarget(
        name="checksum",
        inputs=st.one_of(
            st.tuples(st.just("checksum"), mutate_samples([_CHECKSUM], _CHECKSUM_PIECES)),
            st.tuples(st.just("key"), mutate_samples([key.path.read_bytes()], _KEY_PIECES)),
        ),
        check=check,
    )
