import io
import os
from collections.abc import Iterator

import pytest

from hardpan.core import streams

Pipe = tuple[io.TextIOWrapper, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read_end, write_end = os.pipe()
    stream = os.fdopen(write_end, "w")
    yield stream, read_end
    stream.close()


def test_closed_pipe_is_detected_before_writing(pipe: Pipe) -> None:
    stream, read_end = pipe
    assert not streams.has_no_reader(stream)

    os.close(read_end)

    assert streams.has_no_reader(stream)


def test_non_pipe_stream_has_a_reader() -> None:
    with open(os.devnull, "w") as null:  # noqa: PTH123
        assert not streams.has_no_reader(null)
    assert not streams.has_no_reader(null)
    assert not streams.has_no_reader(io.StringIO())
    assert not streams.has_no_reader(None)


def test_redirected_stream_can_be_flushed(pipe: Pipe) -> None:
    stream, read_end = pipe
    os.close(read_end)
    stream.write("for nobody")

    streams.redirect_to_null(stream)
    stream.flush()

    assert not streams.has_no_reader(stream)


def test_unflushable_stream_is_redirected(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, read_end = pipe
    os.close(read_end)
    stream.write("for nobody")
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", None)

    streams.flush_standard_streams()

    stream.flush()
    assert not streams.has_no_reader(stream)
