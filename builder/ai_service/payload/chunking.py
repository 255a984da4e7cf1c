"""Split a document into chunks that fit the embedding model's context."""

import re
from collections.abc import Iterator
from itertools import islice

MAX_CHUNK_LENGTH = 110
"""Words per chunk: the model was trained for 256 tokens, and a word has 1.3 tokens."""

_OVERLAP_LENGTH = 15
_MAX_WORD_CHARS = 100
_HEADING = re.compile(r"#{1,6}\s+(\S.*)")
_BREAK = re.compile(r"\n\s*\n|\n(?=#{1,6}\s)")
_WORD = re.compile(r"\S+")


def split_into_chunks(text: str) -> Iterator[str]:
    """Yield the document's chunks in order; each begins with its section heading.

    Takes time proportional to the text and memory for one chunk only.
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
        remaining = _iterate_tokens(lines)
        upcoming = list(islice(remaining, MAX_CHUNK_LENGTH + 1))
        if chunk and len(chunk) + len(upcoming) > MAX_CHUNK_LENGTH:
            yield from _join_chunk(heading, chunk)
            chunk = chunk[-_OVERLAP_LENGTH:]
        chunk += upcoming
        while len(chunk) > MAX_CHUNK_LENGTH:
            yield from _join_chunk(heading, chunk[:MAX_CHUNK_LENGTH])
            chunk = chunk[MAX_CHUNK_LENGTH - _OVERLAP_LENGTH :]
            chunk += islice(remaining, MAX_CHUNK_LENGTH + 1 - len(chunk))
    yield from _join_chunk(heading, chunk)


def _split_paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs; a heading begins a new one."""
    start = 0
    for match in _BREAK.finditer(text):
        yield text[start : match.start()]
        start = match.end()
    yield text[start:]


def _iterate_tokens(lines: str) -> Iterator[str]:
    for match in _WORD.finditer(lines):
        start = match.start()
        yield lines[start : min(match.end(), start + _MAX_WORD_CHARS)]


def _join_chunk(heading: str, chunk: list[str]) -> Iterator[str]:
    if chunk:
        yield (f"{heading}: " if heading else "") + " ".join(chunk)
