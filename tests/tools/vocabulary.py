"""Find words that the field does not use: in names bound by Python code, and in texts for people.

An engineer who knows OpenSCAP, Ansible and cosign must understand every name and every sentence
at first reading. ``FORBIDDEN_IN_NAMES`` are participles, pronouns, question words and private words
that describe how a value came about instead of what it is; no name may contain one.
``FORBIDDEN_IN_PROSE`` are words and phrases that no documentation of the field uses; no text may
contain one. Words such as *found*, *given*, *one*, *there* and *where* are only in the first list:
they are plain English in a sentence.

    .venv/bin/python -m tests.tools.vocabulary    # names, README and docs; exit code 1 on a finding
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from tests.source_tree import PRODUCT, REPO, list_files, read_texts

FORBIDDEN_IN_NAMES = frozenset(
    {
        *("anew", "asked", "began", "begun", "came", "drawn", "found", "given", "gone", "hear"),
        *("held", "judge", "judged", "kept", "known", "leash", "lies", "made", "mend", "mended"),
        *("odd", "one", "ours", "own", "papers", "put", "rest", "room", "rooms", "said", "shown"),
        *("story", "taken", "tell", "telling", "there", "told", "took", "vouch", "vouched"),
        *("wanted", "what", "where", "whole", "whom", "why", "witness", "words"),
    }
)
"""Words that are no name, and no part of one between underscores or capitals."""

FIELD_NAMES = ("known_host", "do_put", "max_words", "overlap_words", "split_words")
"""Names of OpenSSH, of Python's HTTP server and of text chunking that contain such a word."""

FORBIDDEN_IN_PROSE = {
    word: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
    for word, pattern in {
        "tell": "tells?|told|telling",
        "said": "said",
        "asked": "asked",
        "held": "held",
        "kept": "kept",
        "ours": "ours",
        "mend": "mends?|mended|mending",
        "anew": "anew",
        "vouch": "vouch(?:es|ed)?",
        "drawn": "drawn|draws?",
        "judge": "judges?|judged",
        "odd": "odd",
        "beside": "beside",
        "whom": "whom",
        "put": "put(?:s|ting)?",
        "lies in": r"lies?\s+(?:in|on|at|beside|next)",
        "stands in": r"stands?\s+(?:in|on|at|for\s+itself)",
        "way out": r"ways?\s+out",
        "in the way": r"in\s+the\s+way",
        "at hand": r"(?:at|to)\s+hand",
        "nowhere": "nowhere",
        "programs of others": r"programs?\s+of\s+others",
        "hold against": r"holds?\s+(?:\S+\s+)?(?:against|to)",
        "have the last word": r"last\s+word",
        "river": "rivers?",
        "house": "houses?",
        "front door": r"front\s+doors?",
    }.items()
}
"""Word or phrase -> all its forms, as no text may contain them."""

_COMPONENT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def split_name(name: str) -> list[str]:
    """Return the parts of a name between underscores and capitals, in lower case."""
    return [part.lower() for part in _COMPONENT.findall(name)]


def has_forbidden_part(name: str) -> bool:
    """Return whether a name contains one of ``FORBIDDEN_IN_NAMES``."""
    if any(field_name in name.lower() for field_name in FIELD_NAMES):
        return False
    return not FORBIDDEN_IN_NAMES.isdisjoint(split_name(name))


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that a module binds.

    These are functions, classes, parameters, all targets of assignments, loops, ``with``,
    ``except`` and ``match``, attributes that are assigned to, and aliases of imports.
    """
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.MatchMapping(rest=str(name)):
                yield node.lineno, name
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:
                    if alias.asname:
                        yield node.lineno, alias.asname


def find_in_source(label: str, source: str) -> list[str]:
    """Return one line for each name in Python source with a word of ``FORBIDDEN_IN_NAMES``."""
    return [
        f"{label}:{line}: name {name!r}"
        for line, name in sorted(set(bound_names(ast.parse(source))))
        if has_forbidden_part(name)
    ]


def find_in_path(path: Path) -> list[str]:
    """Return one line for each part of a path with a word of ``FORBIDDEN_IN_NAMES``."""
    parts = [part for part in (*path.parts[:-1], path.stem) if has_forbidden_part(part)]
    return [f"{path}: name {part!r}" for part in parts]


def find_in_text(label: str, text: str) -> list[str]:
    """Return one line for each word of ``FORBIDDEN_IN_PROSE`` in a text; it may span a line end."""
    return [
        f"{label}:{text.count(chr(10), 0, match.start()) + 1}: {' '.join(match[0].split())!r}"
        for pattern in FORBIDDEN_IN_PROSE.values()
        for match in pattern.finditer(text)
    ]


def find_in_names(folders: tuple[str, ...] = (*PRODUCT, "images", "tests")) -> list[str]:
    """Return the findings in all names that the product, the lab and the tests bind."""
    problems: list[str] = []
    for label, source in read_texts(list_files(folders, ".py")):
        problems += find_in_path(Path(label))
        problems += find_in_source(label, source)
    return problems


def find_in_documents() -> list[str]:
    """Return the findings in README, the other documents of the root folder, and docs."""
    paths = sorted((*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md")))
    return _find_in_texts((str(p.relative_to(REPO)), p.read_text("utf-8")) for p in paths)


def find_in_help(command: click.Command) -> list[str]:
    """Return the findings in the ``--help`` text of a command and of all its subcommands."""
    return _find_in_texts(help_texts(command, click.Context(command, info_name="hardpan")))


def help_texts(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield command line and ``--help`` text of a command and of all its subcommands."""
    yield f"{context.command_path} --help", command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            subcontext = click.Context(subcommand, info_name=name, parent=context)
            yield from help_texts(subcommand, subcontext)


def _find_in_texts(texts: Iterable[tuple[str, str]]) -> list[str]:
    return [problem for label, text in texts for problem in find_in_text(label, text)]


def main() -> int:
    """Print all findings in names and documents; return the exit code."""
    problems = [*find_in_names(), *find_in_documents()]
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
