"""Two halves -> one verdict. Half a result is never a pass."""

_WORST_FIRST = (
    ("violated", "fail"),
    ("error", "error"),
    ("not_applicable", "not_applicable"),
    ("not_tested", "not_checked"),
)


def combine_outcomes(control: str, workload: str) -> str:
    """The verdict over what became of both halves; ``pass`` only where both hold.

    A host without what the control is about does not have the conflict, whatever else
    is broken there.
    """
    if control == "not_applicable":
        return "not_applicable"
    for outcome, verdict in _WORST_FIRST:
        if outcome in (control, workload):
            return verdict
    return "pass" if control == workload == "satisfied" else "error"
