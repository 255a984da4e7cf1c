"""The verifier's checks by name, what a check can end with, and the record of each of them.

An outcome is a type. Its text is for people and decides nothing: parts of it come from
the evidence.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from hardpan.errors import TrustError

CHECKS = (
    ("policy", "the policy itself is in force"),
    ("archive", "the file is an evidence archive, in the one form that hardpan writes"),
    ("bundle", "the Sigstore bundle is well formed"),
    ("signature", "a key trusted for scans signed the statement"),
    ("statement", "the statement is complete and of the known type"),
    ("copies", "statement.json, statement.sig and evidence.tsr are the bundle's own"),
    ("files", "the attached files are exactly the listed ones, with their digests"),
    ("findings", "counts, rules and target agree between statement and findings"),
    ("test-result", "the second statement says what the findings say, by the same key"),
    ("oscal", "the assessment results are signed once more for OSCAL tools, by the same key"),
    ("timestamp", "a trusted authority saw the signature, soon after the scan"),
    ("key-window", "the key was to be trusted when it signed"),
    ("post-quantum", "a key trusted for it signed the same statement with ML-DSA"),
    ("cms", "openssl takes the CMS signature under the policy's certificates"),
    ("time", "the scan's times are in order and not in the future"),
    ("age", "the scan is not older than the policy takes"),
    ("nonce", "the auditor's nonce is in the statement"),
    ("sequence", "the statement comes right after the last one of this host"),
    ("target", "the host is one that the policy names"),
    ("host-key", "the scanner knew the host's key before it connected"),
    ("content", "the SCAP content and profile are ones that the policy names"),
    ("host-proof", "the host itself signed nonce and findings with its host key"),
    ("provenance", "a key trusted for builds vouches for the image the host booted"),
    ("limits", "counts and score are within the policy's limits"),
)
"""Check id -> what it says, in the order they run."""


class Status(StrEnum):
    """How a check ended, as it is printed."""

    PASSED = "ok"
    FAILED = "fail"
    EXCEEDED = "over"
    """A limit of the policy is exceeded."""

    SKIPPED = "skipped"
    """The policy does not ask for it."""

    NOT_CHECKED = "not checked"
    """It cannot be checked with what there is, and the policy does not require it."""

    NOT_RUN = "not run"
    """An earlier check failed."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What the check is about holds."""

    text: str = ""
    """What was seen; empty where the check's description says it all."""

    status: ClassVar[Status] = Status.PASSED


@dataclass(frozen=True, slots=True)
class Skipped:
    """The policy does not ask for it."""

    text: str
    status: ClassVar[Status] = Status.SKIPPED


@dataclass(frozen=True, slots=True)
class NotChecked:
    """It cannot be checked with what there is, and the policy does not require it."""

    text: str
    status: ClassVar[Status] = Status.NOT_CHECKED


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit of the policy is exceeded: an answer, not broken trust."""

    text: str
    status: ClassVar[Status] = Status.EXCEEDED


def not_verified(reason: str) -> NotChecked:
    """The outcome for a thing whose form holds, and for which the policy names nobody."""
    return NotChecked(f"NOT VERIFIED: {reason}")


CheckOutcome = Passed | Skipped | NotChecked | Exceeded
"""What a check returns. A check that fails raises ``TrustError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The record of one check."""

    id: str
    outcome: Status
    why: str


class RefusedError(TrustError):
    """The evidence is not trusted; ``outcomes`` tells every check."""

    def __init__(self, message: str, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__(message, hint="do not use this evidence; ask for it again")
        self.outcomes = outcomes


class Run:
    """Records the checks of one piece of evidence, which ``label`` names in messages."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._done: dict[str, Outcome] = {}
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

        def record(given: CheckOutcome) -> None:
            nonlocal outcome
            outcome = given

        try:
            yield record
        except TrustError as e:
            self._done[name] = Outcome(id=name, outcome=Status.FAILED, why=str(e))
            # Errors of the archive name it themselves.
            self._failed.append(f"{name}: {str(e).removeprefix(f'{self._label}: ')}")
            if not keep_going:
                raise RefusedError(self._refusal(), self._all()) from e
        else:
            self._done[name] = Outcome(id=name, outcome=outcome.status, why=outcome.text)

    def ended(self) -> tuple[Outcome, ...]:
        """Every outcome.

        Raises:
            RefusedError: a check failed.
        """
        if self._failed:
            raise RefusedError(self._refusal(), self._all())
        return self._all()

    def _refusal(self) -> str:
        return f"{self._label}: {'; '.join(self._failed)}"

    def _all(self) -> tuple[Outcome, ...]:
        return tuple(
            self._done.get(i)
            or Outcome(id=i, outcome=Status.NOT_RUN, why="an earlier check failed")
            for i, _ in CHECKS
        )


def as_data(outcomes: tuple[Outcome, ...]) -> list[dict[str, str]]:
    """The outcomes as JSON data."""
    said = dict(CHECKS)
    return [
        {"id": o.id, "outcome": o.outcome.value, "check": said[o.id], "why": o.why}
        for o in outcomes
    ]
