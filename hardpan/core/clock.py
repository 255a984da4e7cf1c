"""What time it is: one place, so that tests and reproducible outputs can say so."""

import os
import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def format_rfc3339(timestamp: datetime) -> str:
    """``moment`` as RFC 3339 with a ``Z``, e.g. ``2026-11-21T04:00:00Z``."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def log_timestamp() -> str:
    """The present moment as a log has it, e.g. ``2026-11-21T04:00:00.123Z`` (ISO 8601, UTC)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def source_date_epoch(default: int = 0) -> int:
    """``SOURCE_DATE_EPOCH`` in seconds where it is set, else ``default``.

    Source: reproducible-builds.org, SOURCE_DATE_EPOCH specification 1.1.
    """
    return int(os.environ.get("SOURCE_DATE_EPOCH", default))


def monotonic_s() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic()


class Deadline:
    """A time limit for a whole job: each step may take what the steps before it left."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._end_s = monotonic_s() + limit_s

    @property
    def remaining_s(self) -> float:
        """Seconds until the limit; 0 when it is reached."""
        return max(0.0, self._end_s - monotonic_s())

    @property
    def has_expired(self) -> bool:
        """True when no time remains."""
        return self.remaining_s == 0.0
