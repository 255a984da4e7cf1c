"""Cuts a document into pieces of the size that the embedding model reads at once."""

import re
from collections.abc import Iterator

WORDS_MOST = 110
"""Words per piece: 256 tokens is what the model was trained for, and words are 1.3 tokens."""

_OVERLAP = 15
_WORD_MOST = 100
_HEADING = re.compile(r"#{1,6}\s+(\S.*)")


def cut(text: str) -> Iterator[str]:
    """The document's pieces in order; each begins with the heading that it stands under."""
    heading = ""
    words: list[str] = []
    for part in re.split(r"\n\s*\n|\n(?=#{1,6}\s)", text):
        lines = part.strip()
        found = _HEADING.match(lines)
        if found:
            yield from _whole(heading, words)
            heading, words = found[1].strip()[:_WORD_MOST], []
            lines = lines[found.end() :]
        fresh = [w[:_WORD_MOST] for w in lines.split()]
        if words and len(words) + len(fresh) > WORDS_MOST:
            yield from _whole(heading, words)
            words = words[-_OVERLAP:]
        words += fresh
        while len(words) > WORDS_MOST:
            yield from _whole(heading, words[:WORDS_MOST])
            words = words[WORDS_MOST - _OVERLAP :]
    yield from _whole(heading, words)


def _whole(heading: str, words: list[str]) -> Iterator[str]:
    if words:
        yield (f"{heading}: " if heading else "") + " ".join(words)
