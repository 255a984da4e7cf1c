"""The answers of a target as each collector got them, as files of the evidence.

An auditor can compute the results again from these files. OpenSCAP's answers are the ARFs.

Each file is JSON in printable ASCII, with sorted keys: every other character is escaped, so that a
text of the target neither controls a terminal nor hides from a reader, and nothing is lost. Output
is text as hardpan evaluates it, with U+FFFD for bytes that are not UTF-8. Redacted are the secrets
that the target received, password hashes and likely secrets (``core.redaction``), and the
identifiers of the machine that a collector withholds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from hardpan.core.redaction import SecretFilter, cut_password_hashes, redact
from hardpan.ssh.batch import BatchAnswers

RAW_FOLDER = "raw"
"""Folder of these files in the evidence."""

MAX_ANSWER_BYTES = 256 << 10
"""Of one output as JSON; the rest of it is left out."""

MAX_FILE_BYTES = 960 << 10
"""Of all outputs of a collector as JSON. The archive limits how well larger files compress."""

WITHHELD = "[withheld: identifies the machine]"
_MIN_REFERENCE_CHARS = 1024
"""An output that is as long is not stored twice."""

_MIN_IDENTIFIER_CHARS = 16
"""A shorter identifier could occur anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """The answer to one command."""

    question: str
    """Name of the question; unique in its file."""

    command: str
    """The shell script that ran, or the name of the program."""

    exit_status: int | None
    """None: the answer was refused, ``output`` has the reason."""

    output: str


@dataclass(frozen=True, slots=True)
class AnswerLog:
    """Records the answers while a collector runs, also if it fails later."""

    answers: list[RawAnswer] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)
    """Texts that identify the machine, and are redacted in all files."""

    def add(self, question: str, command: str, exit_status: int, output: str | bytes) -> None:
        """Record the answer to one command."""
        text = output if isinstance(output, str) else output.decode("utf-8", "replace")
        self.answers.append(
            RawAnswer(question=question, command=command, exit_status=exit_status, output=text)
        )

    def add_batch(
        self,
        questions: Mapping[str, str],
        batch_answers: BatchAnswers,
        *,
        withheld: Sequence[str] = (),
    ) -> None:
        """Record the answers to a batch; those to the questions ``withheld`` only as present."""
        for name, command in questions.items():
            if name in batch_answers.refused:
                reason = f"refused: {batch_answers.refused[name]}"
                self.answers.append(
                    RawAnswer(question=name, command=command, exit_status=None, output=reason)
                )
            if name not in batch_answers.answers:
                continue
            answer = batch_answers.answers[name]
            output = answer.output
            if name in withheld and output.strip():
                self.identifiers.append(output.strip())
                output = WITHHELD
            self.add(name, command, answer.exit_status, output)


def render_raw_files(logs: Mapping[str, AnswerLog]) -> dict[str, bytes]:
    """Return file name -> content for the collectors that got answers."""
    identifiers = {text for log in logs.values() for text in log.identifiers}
    secrets = SecretFilter(
        form
        for text in identifiers
        if len(text) >= _MIN_IDENTIFIER_CHARS
        for spelling in (text, *_list_uuid_forms(text))
        for form in (spelling, spelling.lower(), spelling.upper())
    )
    files: dict[str, bytes] = {}
    stored: dict[tuple[str, str], str] = {}
    for name, log in logs.items():
        if log.answers:
            file_name = f"{RAW_FOLDER}/{name}.json"
            files[file_name] = _render_file(name, file_name, log, secrets, stored)
    return files


def _list_uuid_forms(identifier: str) -> tuple[str, ...]:
    """Return a UUID with and without hyphens; nothing for another text.

    A virtual machine's machine id often is its product UUID without hyphens (machine-id(5)).
    """
    try:
        uuid = UUID(identifier)
    except ValueError:
        return ()
    return (str(uuid), uuid.hex)


def _render_file(
    collector: str,
    file_name: str,
    log: AnswerLog,
    secrets: SecretFilter,
    stored: dict[tuple[str, str], str],
) -> bytes:
    budget = MAX_FILE_BYTES
    entries: list[dict[str, object]] = []
    for answer in log.answers:
        entry: dict[str, object] = {
            "question": answer.question,
            "command": answer.command,
            "exitStatus": answer.exit_status,
        }
        key = (answer.command, answer.output)
        if len(answer.output) >= _MIN_REFERENCE_CHARS and key in stored:
            entries.append({**entry, "sameAs": stored[key]})
            continue
        stored.setdefault(key, f"{file_name}#{answer.question}")
        # More than what is stored is redacted, so that the limit cuts no secret in two.
        head = answer.output[: 2 * MAX_ANSWER_BYTES]
        redacted = _redact(head, secrets)
        output = _cut(redacted, min(MAX_ANSWER_BYTES, max(budget, 0)))
        budget -= _json_size(output)
        entry["output"] = output
        if len(output) < len(redacted) or len(head) < len(answer.output):
            entry["cutFromCharacters"] = len(answer.output)
        entries.append(entry)
    document = {"schemaVersion": "1.0", "collector": collector, "answers": entries}
    return _to_ascii_json(document).encode("ascii")


def _redact(text: str, secrets: SecretFilter) -> str:
    data = b"".join(cut_password_hashes([text.encode("utf-8", "replace")]))
    return redact(secrets.filter_text(data.decode("utf-8", "replace")))


def _cut(text: str, max_bytes: int) -> str:
    """Return the beginning of ``text`` that has at most ``max_bytes`` as JSON."""
    head = text[:max_bytes]
    while head and (size := _json_size(head)) > max_bytes:
        head = head[: min(len(head) - 1, len(head) * max_bytes // size)]
    return head


def _json_size(text: str) -> int:
    return len(_to_ascii_json(text))


def _to_ascii_json(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")  # the one control character that Python leaves
