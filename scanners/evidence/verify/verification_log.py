"""The outcomes of checks, and the log that records them.

An outcome is a type. Its text is for people and decides nothing: parts of it come from
the evidence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from hardpan.core.errors import TrustError


class CheckStatus(StrEnum):
    """Status of a check, as it is printed."""

    PASSED = "ok"
    FAILED = "fail"
    EXCEEDED = "exceeded"
    """A threshold of the policy is exceeded."""

    SKIPPED = "skipped"
    """The policy does not require it."""

    NOT_CHECKED = "not checked"
    """It cannot be checked with what there is, and the policy does not require it."""

    NOT_RUN = "not run"
    """An earlier check failed."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The check passed."""

    text: str = ""
    """What was seen; empty where the check's description says it all."""

    status: ClassVar[CheckStatus] = CheckStatus.PASSED


@dataclass(frozen=True, slots=True)
class Skipped:
    """The policy does not require it."""

    text: str
    status: ClassVar[CheckStatus] = CheckStatus.SKIPPED


@dataclass(frozen=True, slots=True)
class NotChecked:
    """It cannot be checked with what there is, and the policy does not require it."""

    text: str
    status: ClassVar[CheckStatus] = CheckStatus.NOT_CHECKED


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A threshold of the policy is exceeded: findings, not broken trust."""

    text: str
    status: ClassVar[CheckStatus] = CheckStatus.EXCEEDED


def report_not_verified(reason: str) -> NotChecked:
    """Return the outcome for a well-formed signature for which the policy names no key."""
    return NotChecked(f"NOT VERIFIED: {reason}")


CheckOutcome = Passed | Skipped | NotChecked | Exceeded
"""What a check returns. A check that fails raises ``TrustError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """The record of one check."""

    check_id: str
    status: CheckStatus
    reason: str


class VerificationError(TrustError):
    """The evidence is not trusted; ``records`` lists every check."""

    def __init__(self, message: str, records: tuple[CheckRecord, ...]) -> None:
        super().__init__(message, hint="do not use this evidence; request it again")
        self.records = records


class VerificationLog:
    """Record of the checks ``check_ids`` of one piece of evidence, which ``label`` names."""

    def __init__(self, label: str, check_ids: tuple[str, ...]) -> None:
        self._label = label
        self._check_ids = check_ids
        self._records: dict[str, CheckRecord] = {}
        self._failures: list[str] = []

    def run_check(
        self, check_id: str, run: Callable[[], CheckOutcome], *, is_precondition: bool
    ) -> None:
        """Run a check and record its outcome.

        Raises:
            VerificationError: it raised ``TrustError`` and ``is_precondition``.
        """
        try:
            outcome = run()
        except TrustError as e:
            self._add(check_id, CheckStatus.FAILED, str(e))
            # Errors of the archive name it themselves.
            self._failures.append(f"{check_id}: {str(e).removeprefix(f'{self._label}: ')}")
            if is_precondition:
                raise VerificationError(self._format_failures(), self._list_records()) from e
        else:
            self._add(check_id, outcome.status, outcome.text)

    def finish(self) -> tuple[CheckRecord, ...]:
        """Return the record of every check.

        Raises:
            VerificationError: a check failed.
        """
        if self._failures:
            raise VerificationError(self._format_failures(), self._list_records())
        return self._list_records()

    def _add(self, check_id: str, status: CheckStatus, reason: str) -> None:
        self._records[check_id] = CheckRecord(check_id=check_id, status=status, reason=reason)

    def _format_failures(self) -> str:
        return f"{self._label}: {'; '.join(self._failures)}"

    def _list_records(self) -> tuple[CheckRecord, ...]:
        return tuple(
            self._records.get(i)
            or CheckRecord(check_id=i, status=CheckStatus.NOT_RUN, reason="an earlier check failed")
            for i in self._check_ids
        )
