"""Try the ways to root on a target; ``privileges`` decides between them."""

from collections.abc import Callable

from hardpan.core.errors import ToolError
from hardpan.core.redaction import SecretFilter
from hardpan.ssh.command import RemoteCommand
from hardpan.ssh.local_target import AnyTarget
from hardpan.ssh.privileges import (
    FACTS_SCRIPT,
    Attempt,
    BecomeMethod,
    Privileges,
    detect_privileges,
    parse_facts,
)
from hardpan.ssh.request import CommandRequest
from hardpan.ssh.sudo import BecomeDialogue, BecomeFailure, explain_failure

_TIMEOUT_S = 30.0
_CANNOT_EXECUTE = 126
_MAX_DIALOGUE_CHARS = 2000
_MiB = 1 << 20

RunRequest = Callable[[CommandRequest], tuple[RemoteCommand, int]]
"""Runs a command and returns it with its exit status."""


def find_privileges(
    run: RunRequest, target: AnyTarget, password: str, secrets: SecretFilter
) -> Privileges:
    """Return the way to root; ``secrets`` redacts the output of sudo.

    Raises:
        ToolError: a password is missing or incorrect, or sudo cannot run programs.
        UnreachableError: the connection broke.
    """
    if target.user == "root":
        return Privileges(method=BecomeMethod.ROOT)
    command, _ = run(CommandRequest(script=FACTS_SCRIPT, timeout_s=_TIMEOUT_S, max_bytes=_MiB))
    facts = parse_facts(command.out.decode("utf-8", "replace"))

    def attempt(become: BecomeDialogue, has_terminal: bool) -> Attempt:
        return _attempt_become(run, become, has_terminal, target.user, secrets)

    result = detect_privileges(facts, password, attempt)
    if isinstance(result, Privileges):
        return result
    raise ToolError(
        [result.program],
        f"on {target}: {result.reason}",
        output_tail=result.output,
        hint=result.hint,
    )


def _attempt_become(
    run: RunRequest, become: BecomeDialogue, has_terminal: bool, user: str, secrets: SecretFilter
) -> Attempt:
    request = CommandRequest(
        script="env true",
        timeout_s=_TIMEOUT_S,
        max_bytes=_MiB,
        become=become,
        has_terminal=has_terminal,
    )
    command, exit_status = run(request)
    if command.is_command_started and exit_status == 0:
        return Attempt(program=become.program, failure=None)
    text = command.dialogue + command.err
    failure = become.failure(text)
    if command.is_command_started and exit_status == _CANNOT_EXECUTE:
        failure = BecomeFailure.NOEXEC
    reason, hint = explain_failure(failure, become, user)
    output = secrets.filter_text(become.output(text))[-_MAX_DIALOGUE_CHARS:]
    return Attempt(program=become.program, failure=failure, reason=reason, hint=hint, output=output)
