"""Many questions to a target in one script, and the answers read out of what it printed.

The one reader for all collectors that ask this way. A target may print what it likes, so the
reader is linear in the length of the text, and an answer with damaged, nested or repeated marks is
refused: it is never taken for another one.
"""

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

_MAX_STATUS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one question gave."""

    exit_status: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The answers to the questions of one script."""

    answers: Mapping[str, Answer]
    """Question -> answer."""

    refused: Mapping[str, str]
    """Question -> why its answer is not used; a question without any answer is in neither."""


def script(
    questions: Mapping[str, str], mark: str, *, limit_s: Callable[[str], int], max_text: int
) -> str:
    """The questions as one script.

    ``mark`` is a random word, so that no file on the target can hold it. ``limit_s`` gives the
    seconds that a question may take; ``max_text`` bytes of an answer are sent at most.
    """
    # The exit status goes around 'head' by a descriptor of its own.
    ask = (
        f"ask() {{ echo '{mark}' begin \"$1\"\n"
        '{ rc=$({ { timeout -k 2 "$2" sh -c "$3" </dev/null 2>/dev/null 3>&- 4>&-; echo $? >&3; } '
        f"| head -c {max_text} >&4; }} 3>&1); }} 4>&1\n"
        f"printf '\\n%s end %s %s\\n' '{mark}' \"$1\" \"$rc\"; }}"
    )
    calls = (f"ask {name} {limit_s(name)} {shlex.quote(q)}" for name, q in questions.items())
    return "\n".join((ask, *calls, "true"))


def read(text: str, mark: str, names: Collection[str], *, max_text: int) -> Batch:
    """The answers to the questions ``names`` in ``text``; other names are ignored."""
    reader = _Reader(frozenset(names), max_text)
    form = re.compile(re.escape(mark) + r" (begin|end) ([a-z0-9_]{1,40})(?: ([0-9]{1,3}))?")
    start = text.find(mark)
    while start >= 0:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if start == 0 or text[start - 1] == "\n":
            found = form.fullmatch(text, start, end)
            if found is None:
                reader.damaged()
            elif found[1] == "begin":
                reader.begin(found[2], end + 1, found[3])
            else:
                reader.end(found[2], text, start, found[3])
        start = text.find(mark, end)
    return reader.result()


class _Reader:
    """Takes the marks in their order."""

    def __init__(self, names: frozenset[str], max_text: int) -> None:
        self._names = names
        self._max_text = max_text
        self._answers: dict[str, Answer] = {}
        self._refused: dict[str, str] = {}
        self._open = ""
        self._start = 0

    def begin(self, name: str, start: int, status: str | None) -> None:
        """The answer to ``name`` begins at ``start``."""
        if self._open:
            self._refuse(self._open, "holds the begin of another answer")
        if name in self._answers or name in self._refused:
            self._refuse(name, "was given twice")
        self._open, self._start = name, start
        if status is not None:
            self.damaged()

    def end(self, name: str, text: str, end: int, status: str | None) -> None:
        """The answer to ``name`` ends before ``end``."""
        if name != self._open:
            self._refuse(self._open, "ends with the mark of another answer")
            self._refuse(name, "has an end without a begin")
        elif status is None or int(status) > _MAX_STATUS:
            self._refuse(name, "has no exit status")
        elif end - self._start - 1 > self._max_text:
            self._refuse(name, f"is longer than {self._max_text} bytes")
        elif name in self._names and name not in self._refused:
            # The script ends an answer with a newline of its own.
            body = text[self._start : max(self._start, end - 1)]
            self._answers[name] = Answer(exit_status=int(status), text=body)
        self._open = ""

    def damaged(self) -> None:
        """A mark that the script does not print."""
        self._refuse(self._open, "holds a damaged mark")

    def result(self) -> Batch:
        """What was read."""
        if self._open:
            self._refuse(self._open, "is cut short")
        return Batch(answers=self._answers, refused=self._refused)

    def _refuse(self, name: str, why: str) -> None:
        if name in self._names:
            self._answers.pop(name, None)
            self._refused.setdefault(name, why)
