"""Cuts a document into chunks of the size that the embedding model reads at once."""

import re
from collections.abc import Iterator
from itertools import islice

MAX_WORDS = 110
"""Words per chunk: 256 tokens is what the model was trained for, and words are 1.3 tokens."""

_OVERLAP_WORDS = 15
_MAX_WORD_CHARS = 100
_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_BREAK = re.compile(r"\n\s*\n|\n(?=#{1,6}\s)")
_WORD = re.compile(r"\S+")


def split_into_chunks(text: str) -> Iterator[str]:
    """The document's chunks in order; each begins with the heading that it stands under.

    Takes time in proportion to the text, and no memory for what is not asked for.
    """
    heading = ""
    chunk: list[str] = []
    for paragraph in _split_paragraphs(text):
        lines = paragraph.strip()
        match = _HEADING.match(lines)
        if match:
            yield from _join_chunk(heading, chunk)
            heading, chunk = match[1].strip()[:_MAX_WORD_CHARS], []
            lines = lines[match.end() :]
        remaining = _split_words(lines)
        candidate = list(islice(remaining, MAX_WORDS + 1))
        if chunk and len(chunk) + len(candidate) > MAX_WORDS:
            yield from _join_chunk(heading, chunk)
            chunk = chunk[-_OVERLAP_WORDS:]
        chunk += candidate
        while len(chunk) > MAX_WORDS:
            yield from _join_chunk(heading, chunk[:MAX_WORDS])
            chunk = chunk[MAX_WORDS - _OVERLAP_WORDS :]
            chunk += islice(remaining, MAX_WORDS + 1 - len(chunk))
    yield from _join_chunk(heading, chunk)


def _split_paragraphs(text: str) -> Iterator[str]:
    """The paragraphs; a heading begins one."""
    start = 0
    for match in _BREAK.finditer(text):
        yield text[start : match.start()]
        start = match.end()
    yield text[start:]


def _split_words(lines: str) -> Iterator[str]:
    for match in _WORD.finditer(lines):
        start = match.start()
        yield lines[start : min(match.end(), start + _MAX_WORD_CHARS)]


def _join_chunk(heading: str, chunk: list[str]) -> Iterator[str]:
    if chunk:
        yield (f"{heading}: " if heading else "") + " ".join(chunk)
