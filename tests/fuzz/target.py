"""A fuzz target: a reader of hostile input, the inputs generated for it, and what it may answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

MAX_REPEATS = 4096
"""How often one piece may be repeated in one input: enough for a quadratic reader to show."""


@dataclass(frozen=True, kw_only=True)
class FuzzTarget:
    """One reader of hostile input."""

    name: str
    inputs: SearchStrategy[Any]
    """Inputs that hypothesis generates for ``check``."""

    check: Callable[[Any], str]
    """Gives one input to the reader and returns the outcome in a word or two, e.g. ``unchanged``.

    A ``HardpanError`` may be raised: it counts as ``refused``. Anything else that is raised is a
    finding; so is an ``AssertionError``, which a check raises if the reader accepted what it
    must refuse.
    """

    max_input_s: float = 10.0
    """Seconds that one input may take, on a slow machine with other work."""


@st.composite
def mutate_samples(draw: DrawFn, samples: Sequence[bytes], pieces: Sequence[bytes] = ()) -> bytes:
    """One of ``samples`` after one to four edits.

    ``pieces`` have a meaning to the reader (delimiters, keywords, extreme numbers); they are
    inserted, written over other bytes, and repeated up to ``MAX_REPEATS`` times.
    """
    data = bytearray(draw(st.sampled_from(samples)))
    piece = st.sampled_from(pieces) if pieces else st.binary(min_size=1, max_size=8)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 64)))
        kind = draw(st.integers(0, 6))
        if kind == 0 and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == 1:
            data[start:stop] = draw(st.binary(max_size=16))
        elif kind == 2:
            data[start:start] = draw(piece)
        elif kind == 3:
            inserted = draw(piece)
            data[start : start + len(inserted)] = inserted
        elif kind == 4:
            data[start:start] = draw(piece) * draw(st.integers(1, MAX_REPEATS))
        elif kind == 5:
            data[start:start] = data[start:stop]
        elif draw(st.booleans()):
            del data[start:stop]
        else:
            del data[start:]
    return bytes(data)
