"""The current time, in one place, so that tests and reproducible outputs can set it."""

import os
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def format_rfc3339(timestamp: datetime) -> str:
    """Return ``timestamp`` as RFC 3339 with a ``Z``, e.g. ``2026-11-21T04:00:00Z``."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def log_timestamp() -> str:
    """Return the current time for a log, e.g. ``2026-11-21T04:00:00.123Z`` (ISO 8601, UTC)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def source_date_epoch(default: int = 0) -> int:
    """Return ``SOURCE_DATE_EPOCH`` in seconds if it is set, else ``default``.

    Source: reproducible-builds.org, SOURCE_DATE_EPOCH specification 1.1.
    """
    return int(os.environ.get("SOURCE_DATE_EPOCH", default))


def monotonic_s() -> float:
    """Return seconds of a clock that never goes back; only differences are meaningful."""
    return time.monotonic()


class Deadline:
    """A time limit for several steps: each may use what the previous steps left."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._end_s = monotonic_s() + limit_s

    @property
    def remaining_s(self) -> float:
        """Seconds until the limit; 0 once it has expired."""
        return max(0.0, self._end_s - monotonic_s())

    @property
    def has_expired(self) -> bool:
        """True if no time remains."""
        return self.remaining_s == 0.0
