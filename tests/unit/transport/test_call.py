"""One command on a target: a line that never ends is looked at once."""

from hardpan.scanners.call import Call


class Counted(bytearray):
    """Counts the bytes that were searched."""

    searched = 0

    def find(self, *given: object) -> int:
        self.searched += len(self) - int(str(given[1]))
        return super().find(*given)  # type: ignore[arg-type]


def test_a_line_without_an_end_is_searched_once() -> None:
    heard: list[str] = []
    call = Call("x", None, b"", False, 1 << 20, heard.append)
    call.err = Counted()

    for _ in range(200):
        call.err += b"x" * 1000
        call._tell()
    call.err += b"\nnext\n"
    call._tell()

    assert call.err.searched <= 201_000
    assert [line[:4] for line in heard] == ["xxxx", "next"]
    assert len(heard[0]) == 4096
