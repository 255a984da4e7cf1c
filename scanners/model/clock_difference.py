"""Difference between the clocks of target and scanner."""

MAX_CLOCK_DIFFERENCE_S = 60
"""Seconds; a larger difference is reported. Kerberos allows 300, TOTP 30."""

_DAY_S = 86_400


def describe_clock_difference(difference_s: int | None) -> str:
    """Describe a difference that is too large; empty for any other, or where it is not known.

    ``difference_s`` is the target's time minus the scanner's.
    """
    if difference_s is None or abs(difference_s) <= MAX_CLOCK_DIFFERENCE_S:
        return ""
    direction = "ahead of" if difference_s > 0 else "behind"
    amount = f"{abs(difference_s)} s"
    if abs(difference_s) >= _DAY_S:
        amount += f" ({abs(difference_s) / _DAY_S:.1f} days)"
    return (
        f"the target's clock is {amount} {direction} the scanner's; more than "
        f"{MAX_CLOCK_DIFFERENCE_S} s: times in its logs and results are wrong"
    )
