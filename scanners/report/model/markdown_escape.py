"""Outside text inside Markdown: it shows as it is, and forms nothing.

Host names, rule titles, evidence and reasons are written by others, and both
``summary.md`` and OSCAL's prose are Markdown. Backslashes do not stop every
reader from making a link of a bare address, so text with any character that a
reader could take for markup goes into a code span, where nothing is markup.
"""

import re
from functools import lru_cache

_PLAIN_TEXT = re.compile(r"""[A-Za-z0-9(](?:[A-Za-z0-9 ()/'%-]|[.,;:](?= |$)|(?<=\d)[.,](?=\d))*""")
_BACKTICK_RUN = re.compile("`+")
_CACHE_ENTRIES = 4096
_CODE_INDENT = "    "


def to_line(text: str, *, empty: str = "(none)") -> str:
    """``text`` with every run of blanks and line ends as one blank; never empty."""
    return " ".join(text.split()) or empty


@lru_cache(_CACHE_ENTRIES)  # a title occurs in an observation, its findings and its risk
def escape_inline(text: str, *, empty: str = "(none)") -> str:
    """``text`` for the middle of a Markdown line; plain where it is harmless."""
    line = to_line(text, empty=empty)
    return line if _PLAIN_TEXT.fullmatch(line) else code_span(line)


def code_span(text: str) -> str:
    """``text`` as a code span, with a fence that nothing in it can close."""
    line = to_line(text)
    longest = max((len(backticks) for backticks in _BACKTICK_RUN.findall(line)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def escape_lines(text: str, *, empty: str = "(none)") -> str:
    """``text`` as Markdown with its lines: paragraphs, list items, and fenced blocks of code.

    Lines that four blanks indent are code, as rule texts have them.
    """
    blocks: list[str] = []
    code: list[str] = []
    for line in text.split("\n"):
        if line.startswith(_CODE_INDENT) or (code and not line.strip()):
            code.append(line[len(_CODE_INDENT) :])
            continue
        blocks += _fence(code)
        code = []
        content = line.strip()
        if content.startswith("- "):
            blocks.append(f"- {escape_inline(content[2:])}")
        elif content:
            blocks.append(escape_inline(content))
    blocks += _fence(code)
    return "\n\n".join(blocks) or empty


def _fence(code: list[str]) -> list[str]:
    """Return the lines as a fenced block that none of them can close; none for no lines."""
    text = "\n".join(code).rstrip()
    if not text:
        return []
    longest = max((len(backticks) for backticks in _BACKTICK_RUN.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}\n{text}\n{fence}"]


def format_list(texts: tuple[str, ...], *, max_items: int) -> str:
    """A Markdown list of code spans, cut after ``most`` with a word about the rest."""
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    bullets = [f"- {code_span(line)}" for line in lines[:max_items]]
    if len(lines) > max_items:
        bullets.append(f"- and {len(lines) - max_items} more, in findings.json")
    return "\n".join(bullets)
