"""The verifier's checks by name, and the record of how each of them ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

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
    ("content", "the SCAP content and profile are ones that the policy names"),
    ("host-proof", "the host itself signed nonce and findings with its host key"),
    ("provenance", "a key trusted for builds vouches for the image the host booted"),
    ("limits", "counts and score are within the policy's limits"),
)
"""Check id -> what it says, in the order they run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One check."""

    id: str
    outcome: str
    """``ok``, ``fail``, ``over`` (a limit of the policy is exceeded), ``skipped`` (the policy
    does not ask for it) or ``not run`` (an earlier check failed)."""

    why: str


class RefusedError(TrustError):
    """The evidence is not trusted; ``outcomes`` tells every check."""

    def __init__(self, message: str, outcomes: tuple[Outcome, ...]) -> None:
        super().__init__(message, hint="do not use this evidence; ask for it again")
        self.outcomes = outcomes


class Run:
    """Records the checks as they run."""

    def __init__(self) -> None:
        self._done: dict[str, Outcome] = {}
        self._failed: list[str] = []

    @contextmanager
    def check(self, name: str, *, keep_going: bool = False) -> Iterator[Callable[..., None]]:
        """Record how the block ends; unless ``keep_going``, a failure ends the run."""
        said = Outcome(id=name, outcome="ok", why="")

        def why(text: str, outcome: str = "ok") -> None:
            nonlocal said
            skipped = text.startswith("skipped: ")
            said = replace(
                said,
                outcome="skipped" if skipped else outcome,
                why=text.removeprefix("skipped: "),
            )

        try:
            yield why
        except TrustError as e:
            said = replace(said, outcome="fail", why=str(e))
            self._failed.append(f"{name}: {e}")
            if not keep_going:
                self._done[name] = said
                raise RefusedError(self._failed[0], self._all()) from e
        self._done[name] = said

    def ended(self, path: Path) -> tuple[Outcome, ...]:
        """Every outcome.

        Raises:
            RefusedError: a check failed.
        """
        if self._failed:
            raise RefusedError(f"{path}: {'; '.join(self._failed)}", self._all())
        return self._all()

    def _all(self) -> tuple[Outcome, ...]:
        missing = Outcome(id="", outcome="not run", why="an earlier check failed")
        return tuple(self._done.get(i, replace(missing, id=i)) for i, _ in CHECKS)


def as_data(outcomes: tuple[Outcome, ...]) -> list[dict[str, str]]:
    """The outcomes as JSON data."""
    said = dict(CHECKS)
    return [{"id": o.id, "outcome": o.outcome, "check": said[o.id], "why": o.why} for o in outcomes]
