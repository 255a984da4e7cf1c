"""Cuts a document into pieces of the size that the embedding model reads at once."""

import re
from collections.abc import Iterator
from itertools import islice

WORDS_MOST = 110
"""Words per piece: 256 tokens is what the model was trained for, and words are 1.3 tokens."""

_OVERLAP = 15
_WORD_MOST = 100
_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_BREAK = re.compile(r"\n\s*\n|\n(?=#{1,6}\s)")
_WORD = re.compile(r"\S+")


def cut(text: str) -> Iterator[str]:
    """The document's pieces in order; each begins with the heading that it stands under.

    Takes time in proportion to the text, and no memory for what is not asked for.
    """
    heading = ""
    words: list[str] = []
    for part in _parts(text):
        lines = part.strip()
        found = _HEADING.match(lines)
        if found:
            yield from _whole(heading, words)
            heading, words = found[1].strip()[:_WORD_MOST], []
            lines = lines[found.end() :]
        further = _words(lines)
        fresh = list(islice(further, WORDS_MOST + 1))
        if words and len(words) + len(fresh) > WORDS_MOST:
            yield from _whole(heading, words)
            words = words[-_OVERLAP:]
        words += fresh
        while len(words) > WORDS_MOST:
            yield from _whole(heading, words[:WORDS_MOST])
            words = words[WORDS_MOST - _OVERLAP :]
            words += islice(further, WORDS_MOST + 1 - len(words))
    yield from _whole(heading, words)


def _parts(text: str) -> Iterator[str]:
    """The paragraphs; a heading begins one."""
    start = 0
    for found in _BREAK.finditer(text):
        yield text[start : found.start()]
        start = found.end()
    yield text[start:]


def _words(lines: str) -> Iterator[str]:
    for found in _WORD.finditer(lines):
        start = found.start()
        yield lines[start : min(found.end(), start + _WORD_MOST)]


def _whole(heading: str, words: list[str]) -> Iterator[str]:
    if words:
        yield (f"{heading}: " if heading else "") + " ".join(words)
