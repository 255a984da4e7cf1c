import io
import os
from collections.abc import Iterator

import pytest

from hardpan import streams

Pipe = tuple[io.TextIOWrapper, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    yield stream, reading
    stream.close()


def test_a_pipe_without_a_reader_is_noticed_before_anything_is_written(pipe: Pipe) -> None:
    stream, reading = pipe
    assert not streams.has_no_reader(stream)

    os.close(reading)

    assert streams.has_no_reader(stream)


def test_what_is_no_pipe_has_a_reader() -> None:
    with open(os.devnull, "w") as null:  # noqa: PTH123
        assert not streams.has_no_reader(null)
    assert not streams.has_no_reader(null)
    assert not streams.has_no_reader(io.StringIO())
    assert not streams.has_no_reader(None)


def test_a_discarded_stream_can_be_flushed(pipe: Pipe) -> None:
    stream, reading = pipe
    os.close(reading)
    stream.write("for nobody")

    streams.discard(stream)
    stream.flush()

    assert not streams.has_no_reader(stream)


def test_what_cannot_be_flushed_is_discarded(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, reading = pipe
    os.close(reading)
    stream.write("for nobody")
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", None)

    streams.flush_all()

    stream.flush()
    assert not streams.has_no_reader(stream)
