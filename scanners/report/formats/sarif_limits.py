"""Limits of the services that read SARIF, and how a log stays below them.

GitHub documents 25,000 results and rules per run, 20 tags per rule, 1,000 locations per result,
1,024 characters per description and 10 MB for the compressed file; it shows 5,000 results,
10 tags and 100 locations. Azure DevOps and GitLab document no higher ones. A log has one run,
one location per result and as many rules as results, so only the limits below can be exceeded.
"""

import zlib
from typing import Final

MAX_RESULTS: Final = 25_000
MAX_TAGS: Final = 20
MAX_SUMMARY_CHARACTERS: Final = 1024
"""Of a short or a full description."""

MAX_MESSAGE_CHARACTERS: Final = 8_000
"""Of any other text."""

MAX_EVIDENCE_LINES: Final = 60
MAX_CATEGORY_CHARACTERS: Final = 255
MAX_COMPRESSED_BYTES: Final = 9_500_000
"""Of the log as ``gzip`` compresses it. Below 10 MB, because compressors differ a little."""

_COMPRESSION_LEVEL = 6
"""That of ``gzip`` without an option."""

_MARGIN = 0.95


def estimate_count(log: bytes, count: int) -> int:
    """Return how many of the ``count`` results of a log fit, which is ``count`` if all do.

    The remaining number is in proportion to the compressed size, with a margin; the caller
    renders a log with it and asks again.
    """
    if len(log) <= MAX_COMPRESSED_BYTES:  # gzip adds less than 0.1 % to what it cannot compress
        return count
    size = len(zlib.compress(log, _COMPRESSION_LEVEL))
    if size <= MAX_COMPRESSED_BYTES or count == 0:
        return count
    return int(count * _MARGIN * MAX_COMPRESSED_BYTES / size)
