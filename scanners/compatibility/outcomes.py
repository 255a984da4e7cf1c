"""Verdict over the control check and the workload check. Half a result is never a pass."""

_WORST_FIRST = (
    ("violated", "fail"),
    ("error", "error"),
    ("not_applicable", "not_applicable"),
    ("not_tested", "not_checked"),
)


def combine_outcomes(control: str, workload: str) -> str:
    """Return the verdict over both outcomes; ``pass`` only if both are satisfied.

    If the control does not apply to a host, the conflict does not exist there, whatever
    the outcome of the workload check.
    """
    if control == "not_applicable":
        return "not_applicable"
    for outcome, verdict in _WORST_FIRST:
        if outcome in (control, workload):
            return verdict
    return "pass" if control == workload == "satisfied" else "error"
