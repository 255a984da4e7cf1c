import contextlib
import hashlib
import sys
import zlib

import pytest

from hardpan.packed import Packer, pack, packing_thread


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 3000])
def test_what_was_packed_comes_back_with_its_facts(data: bytes) -> None:
    made = pack(data)

    assert made.data() == data
    assert (made.size, made.crc) == (len(data), zlib.crc32(data))
    assert made.sha256 == hashlib.sha256(data).hexdigest()


def test_how_the_bytes_are_cut_makes_no_difference() -> None:
    data = b"some words, and more words, " * 40_000
    packer = Packer()
    for begin in range(0, len(data), 777):
        packer.add(data[begin : begin + 777])

    assert packer.done() == pack(data)


def test_what_is_packed_is_not_packed_again() -> None:
    made = pack(b"x")

    assert pack(made) is made


def test_the_interpreter_is_as_it_was_after_packing_beside() -> None:
    usual = sys.getswitchinterval()
    with contextlib.suppress(ZeroDivisionError), packing_thread() as thread:
        assert thread.submit(pack, b"x").result() == pack(b"x")
        assert sys.getswitchinterval() < usual
        raise ZeroDivisionError

    assert sys.getswitchinterval() == usual
