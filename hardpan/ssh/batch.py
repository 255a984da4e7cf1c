"""Many questions to a target in one script, and the parser of its output.

This is the only protocol for many commands in one round trip; ``sudo`` has the one for a single
command. The output of a target is hostile: the parser is linear in the length of the text, and an
answer with damaged, nested or repeated markers is refused, never attributed to another question.
"""

import re
import secrets
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from hardpan.ssh.connection import Connection

_MAX_STATUS = 255
_MiB = 1 << 20

# QEMU 7.2 translates a program's code for each address that it is loaded at: an emulated target
# would translate some hundred programs anew. Without random addresses it translates each once.
_IS_EMULATED = (
    "grep -qs '^model name.*: QEMU TCG CPU' /proc/cpuinfo && command -v setarch >/dev/null"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """The answer to one question."""

    exit_status: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswers:
    """The answers to the questions of one script."""

    answers: Mapping[str, BatchAnswer]
    """Question -> answer."""

    refused: Mapping[str, str]
    """Question -> why its answer is not used; a question without any answer is in neither."""


def run_batch(
    connection: Connection,
    questions: Mapping[str, str],
    *,
    limit_s: Callable[[str], int],
    timeout_s: float,
    max_text: int,
    max_bytes: int = 16 * _MiB,
    ok: Sequence[int] | None = (0,),
) -> BatchAnswers:
    """Run the questions as root in one round trip, and parse the answers.

    ``limit_s`` returns the time limit of a question, ``timeout_s`` is the limit for all of them;
    an answer has at most ``max_text`` bytes, and all together ``max_bytes``.

    Raises:
        ToolError: the script did not end in time, sent too much, or has an exit status that is
            not in ``ok``.
        UnreachableError: the connection broke.
    """
    # Random, so that no file on the target contains it.
    marker = f"@@hardpan-{secrets.token_hex(8)}"
    script = build_script(questions, marker, limit_s=limit_s, max_text=max_text)
    output = connection.run(
        f"if {_IS_EMULATED}; then exec setarch -R sh -c {shlex.quote(script)}; fi\n{script}",
        timeout_s=timeout_s,
        ok=ok,
        sudo=True,
        max_bytes=max_bytes,
        kill_on_disconnect=True,
    )
    return parse_answers(output.stdout, marker, questions, max_text=max_text)


def build_script(
    questions: Mapping[str, str], marker: str, *, limit_s: Callable[[str], int], max_text: int
) -> str:
    """Build one script from the questions.

    ``limit_s`` returns the time limit of a question; at most ``max_text`` bytes of an answer are
    sent. The script's stdin ends when the connection is lost: the question that runs is then ended.
    """
    # The exit status bypasses 'head' through descriptor 3; 5 is the script's stdin. timeout leads
    # a process group of its own, so a signal to the script's group would not reach it.
    shell_function = (
        f"exec 5<&0\nask() {{ echo '{marker}' begin \"$1\"\n"
        '{ rc=$({ { timeout -k 2 "$2" sh -c "$3" </dev/null 2>/dev/null 3>&- 4>&- 5<&- & p=$!\n'
        "{ trap 'kill $p; exit' TERM; while read -r _; do :; done; kill $p; } "
        "<&5 >/dev/null 3>&- 4>&- 5<&- & w=$!\n"
        "wait $p; echo $? >&3; kill -KILL $w; } 2>/dev/null "
        f"| head -c {max_text} >&4; }} 3>&1); }} 4>&1\n"
        f"printf '\\n%s end %s %s\\n' '{marker}' \"$1\" \"$rc\"; }}"
    )
    function_calls = (
        f"ask {name} {limit_s(name)} {shlex.quote(q)}" for name, q in questions.items()
    )
    return "\n".join((shell_function, *function_calls, "true"))


def parse_answers(text: str, marker: str, names: Collection[str], *, max_text: int) -> BatchAnswers:
    """Parse the answers to the questions ``names`` in ``text``; other names are ignored."""
    reader = _BatchReader(frozenset(names), max_text)
    pattern = re.compile(re.escape(marker) + r" (begin|end) ([a-z0-9_]{1,40})(?: ([0-9]{1,3}))?")
    start = text.find(marker)
    while start >= 0:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if start == 0 or text[start - 1] == "\n":
            match = pattern.fullmatch(text, start, end)
            if match is None:
                reader.refuse_damaged()
            elif match[1] == "begin":
                reader.start_answer(match[2], end + 1, match[3])
            else:
                reader.end_answer(match[2], text, start, match[3])
        start = text.find(marker, end)
    return reader.result()


class _BatchReader:
    """Handles the markers in order."""

    def __init__(self, names: frozenset[str], max_text: int) -> None:
        self._names = names
        self._max_text = max_text
        self._answers: dict[str, BatchAnswer] = {}
        self._refused: dict[str, str] = {}
        self._open = ""
        self._start = 0

    def start_answer(self, name: str, start: int, status: str | None) -> None:
        """Handle the begin marker of the answer to ``name``, which starts at ``start``."""
        if self._open:
            self._refuse(self._open, "holds the begin of another answer")
        if name in self._answers or name in self._refused:
            self._refuse(name, "was given twice")
        self._open, self._start = name, start
        if status is not None:
            self.refuse_damaged()

    def end_answer(self, name: str, text: str, end: int, status: str | None) -> None:
        """Handle the end marker of the answer to ``name``, which ends before ``end``."""
        if name != self._open:
            self._refuse(self._open, "ends with the mark of another answer")
            self._refuse(name, "has an end without a begin")
        elif status is None or int(status) > _MAX_STATUS:
            self._refuse(name, "has no exit status")
        elif end - self._start - 1 > self._max_text:
            self._refuse(name, f"is longer than {self._max_text} bytes")
        elif name in self._names and name not in self._refused:
            # The script adds a newline after an answer.
            body = text[self._start : max(self._start, end - 1)]
            self._answers[name] = BatchAnswer(exit_status=int(status), output=body)
        self._open = ""

    def refuse_damaged(self) -> None:
        """Handle a marker that the script does not print."""
        self._refuse(self._open, "holds a damaged mark")

    def result(self) -> BatchAnswers:
        """Return the parsed answers."""
        if self._open:
            self._refuse(self._open, "is cut short")
        return BatchAnswers(answers=self._answers, refused=self._refused)

    def _refuse(self, name: str, reason: str) -> None:
        if name in self._names:
            self._answers.pop(name, None)
            self._refused.setdefault(name, reason)
