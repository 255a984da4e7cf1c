"""The lines that report the checks of a verification."""

from hardpan.scanners.evidence.verify.registry import DESCRIPTIONS
from hardpan.scanners.evidence.verify.verification_log import CheckRecord, CheckStatus

_MARKS = {
    CheckStatus.PASSED: "ok",
    CheckStatus.FAILED: "FAIL",
    CheckStatus.EXCEEDED: "EXCEEDED",
    CheckStatus.SKIPPED: "-",
    CheckStatus.NOT_CHECKED: "-",
    CheckStatus.NOT_RUN: "-",
}


def format_check_records(records: tuple[CheckRecord, ...]) -> tuple[str, ...]:
    """Return one line per check: mark, id, and description or reason."""
    return tuple(f"{_MARKS[r.status]:<8} {r.check_id:<15} {_describe_record(r)}" for r in records)


def _describe_record(record: CheckRecord) -> str:
    match record.status:
        case CheckStatus.FAILED | CheckStatus.EXCEEDED:
            return record.reason
        case CheckStatus.PASSED:
            description = DESCRIPTIONS[record.check_id]
            return f"{description}: {record.reason}" if record.reason else description
        case _:
            return f"{record.status}: {record.reason}"
