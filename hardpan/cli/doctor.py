"""``hardpan doctor``: what this machine can do, and how to fix what is missing."""

import click

from hardpan.core.console import print_json, print_line
from hardpan.core.errors import Exit
from hardpan.preflight.doctor import DoctorCheck, run_checks

_STATUS_LABELS = {True: "ok", False: "MISSING", None: "-"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def doctor(as_json: bool) -> int:
    """Check what this machine can do, and suggest how to fix what is missing.

    Exits with 0 if every requirement is met, with 4 if one is missing.
    """
    checks = run_checks()
    if as_json:
        print_json({"checks": [_to_json(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print_line(f"{_STATUS_LABELS[check.ok]:<8} {check.name:<{width}}  {check.detail}")
            if check.fix:
                print_line(f"{'':<8} {'':<{width}}  -> {check.fix}")
    is_missing = any(check.ok is False for check in checks)
    return int(Exit.TOOL if is_missing else Exit.OK)


def _to_json(check: DoctorCheck) -> dict[str, object]:
    return {"name": check.name, "ok": check.ok, "detail": check.detail, "fix": check.fix}
