"""One command on a target: endless lines, and endlessly many."""

import pytest

from hardpan.ssh import command
from hardpan.ssh.command import RemoteCommand
from hardpan.ssh.request import CommandRequest


class CountingBuffer(bytearray):
    """Counts the bytes that were searched."""

    searched_bytes = 0

    def find(self, *arguments: object) -> int:
        self.searched_bytes += len(self) - int(str(arguments[1]))
        return super().find(*arguments)  # type: ignore[arg-type]


def test_unterminated_line_is_searched_once() -> None:
    lines: list[str] = []
    call = RemoteCommand(CommandRequest(script="x", timeout_s=1, on_line=lines.append))
    call.err = CountingBuffer()

    for _ in range(200):
        call.err += b"x" * 1000
        call._report_lines()
    call.err += b"\nnext\n"
    call._report_lines()

    assert call.err.searched_bytes <= 201_000
    assert [line[:4] for line in lines] == ["xxxx", "next"]
    assert len(lines[0]) == 4096


def test_only_so_many_lines_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_MAX_REPORTED_LINES", 3)
    lines: list[str] = []
    call = RemoteCommand(CommandRequest(script="x", timeout_s=1, on_line=lines.append))

    call.err += b"a\n\nb\nc\n"
    call._report_lines()
    call.err += b"d\n"
    call._report_lines()

    assert lines == ["a", "", "b"]
    assert call.err == b"a\n\nb\nc\nd\n"
