"""Outside text inside Markdown: it shows as it is, and forms nothing.

Host names, rule titles, evidence and reasons are written by others, and both
``summary.md`` and OSCAL's prose are Markdown. Backslashes do not stop every
reader from making a link of a bare address, so text with any character that a
reader could take for markup goes into a code span, where nothing is markup.
"""

import re
from functools import lru_cache

_PLAIN = re.compile(r"""[A-Za-z0-9(](?:[A-Za-z0-9 ()/'%-]|[.,;:](?= |$)|(?<=\d)[.,](?=\d))*""")
_RUN = re.compile("`+")
_REMEMBERED = 4096


def one_line(text: str, *, empty: str = "(none)") -> str:
    """``text`` with every run of blanks and line ends as one blank; never empty."""
    return " ".join(text.split()) or empty


@lru_cache(_REMEMBERED)  # a title stands in an observation, its findings and its risk
def inline(text: str, *, empty: str = "(none)") -> str:
    """``text`` for the middle of a Markdown line; plain where it is harmless."""
    line = one_line(text, empty=empty)
    return line if _PLAIN.fullmatch(line) else code(line)


def code(text: str) -> str:
    """``text`` as a code span, with a fence that nothing in it can close."""
    line = one_line(text)
    longest = max((len(run) for run in _RUN.findall(line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def items(texts: tuple[str, ...], *, most: int) -> str:
    """A Markdown list of code spans, cut after ``most`` with a word about the rest."""
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    told = [f"- {code(line)}" for line in lines[:most]]
    if len(lines) > most:
        told.append(f"- and {len(lines) - most} more, in findings.json")
    return "\n".join(told)
