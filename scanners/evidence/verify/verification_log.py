"""The verifier's checks by id, their outcomes, and the log that records them.

An outcome is a type. Its text is for people and decides nothing: parts of it come from
the evidence.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from hardpan.core.errors import TrustError

CHECKS = (
    ("policy", "the policy has not expired"),
    ("archive", "the file is an evidence archive in canonical form"),
    ("bundle", "the Sigstore bundle is well formed"),
    ("signature", "a trusted scan key signed the statement"),
    ("statement", "the statement is complete and of a known type"),
    ("detached-copies", "detached files match the bundle"),
    ("files", "the attached files match the digests in the statement"),
    ("findings", "counts, rules and target agree between statement and findings"),
    ("test-result", "the test-result statement matches the findings, signed by the same key"),
    ("oscal", "the same key signed the OSCAL assessment results"),
    ("timestamp", "a trusted authority timestamped the signature soon after the scan"),
    ("key-window", "the signing key was valid at signing time"),
    ("post-quantum", "a trusted key signed the same statement with ML-DSA"),
    ("cms", "openssl verifies the CMS signature under the policy's certificates"),
    ("time", "the scan's times are in order and not in the future"),
    ("age", "the scan is not older than the policy allows"),
    ("nonce", "the statement contains the auditor's nonce"),
    ("chain-position", "the statement follows the host's previous statement"),
    ("target", "the policy lists the host"),
    ("host-key", "the scanner knew the host key before it connected"),
    ("content", "the policy allows the SCAP content and profile"),
    ("host-signature", "the host signed nonce and findings with its host key"),
    ("provenance", "a trusted build key attests to the image that the host booted"),
    ("thresholds", "counts and score are within the policy's thresholds"),
)
"""Check id -> description, in the order in which the checks run."""


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
    """Record of the checks of one piece of evidence, which ``label`` names in messages."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._records: dict[str, CheckRecord] = {}
        self._failed: list[str] = []

    @contextmanager
    def check(
        self, name: str, *, keep_going: bool = False
    ) -> Iterator[Callable[[CheckOutcome], None]]:
        """Record how the block ends: passed, unless it gives another outcome or raises.

        Raises:
            RefusedError: the block raised ``TrustError``, and not ``keep_going``.
        """
        outcome: CheckOutcome = Passed()

        def record(new_outcome: CheckOutcome) -> None:
            nonlocal outcome
            outcome = new_outcome

        try:
            yield record
        except TrustError as e:
            self._records[name] = CheckRecord(
                check_id=name, status=CheckStatus.FAILED, reason=str(e)
            )
            # Errors of the archive name it themselves.
            self._failed.append(f"{name}: {str(e).removeprefix(f'{self._label}: ')}")
            if not keep_going:
                raise VerificationError(self._format_failures(), self._list_records()) from e
        else:
            self._records[name] = CheckRecord(
                check_id=name, status=outcome.status, reason=outcome.text
            )

    def finish(self) -> tuple[CheckRecord, ...]:
        """Every outcome.

        Raises:
            RefusedError: a check failed.
        """
        if self._failed:
            raise VerificationError(self._format_failures(), self._list_records())
        return self._list_records()

    def _format_failures(self) -> str:
        return f"{self._label}: {'; '.join(self._failed)}"

    def _list_records(self) -> tuple[CheckRecord, ...]:
        return tuple(
            self._records.get(i)
            or CheckRecord(check_id=i, status=CheckStatus.NOT_RUN, reason="an earlier check failed")
            for i, _ in CHECKS
        )


def records_to_json(records: tuple[CheckRecord, ...]) -> list[dict[str, str]]:
    """Return the records as JSON data."""
    descriptions = dict(CHECKS)
    return [
        {
            "id": o.check_id,
            "status": o.status.value,
            "description": descriptions[o.check_id],
            "reason": o.reason,
        }
        for o in records
    ]
