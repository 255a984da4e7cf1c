"""Checks that read the database of rpm."""

import functools
import os

from .tools import ProbeResult, not_applicable, not_tested, read, run, satisfied_if, value_after

_NO_DATABASE = not_tested("rpm is not installed, or has no database")


def check_package_signatures() -> ProbeResult:
    """Whether hardpan's own packages carry a signature."""
    query = (
        "%{NAME} %|DSAHEADER?{signed}:{%|RSAHEADER?{signed}:{%|SIGPGP?{signed}:{unsigned}|}|}|\n"
    )
    if not _has_rpm_database():
        return _NO_DATABASE
    _, out = run(["rpm", "-qa", "hardpan-ai-*", "--qf", query], 60)
    unsigned = [x.split()[0] for x in out.splitlines() if x.endswith(" unsigned")]
    summary = (
        f"{len(out.splitlines())} hardpan packages, unsigned: {', '.join(unsigned[:3]) or 'none'}"
    )
    return satisfied_if(not unsigned, summary)


def check_subscription_manager() -> ProbeResult:
    """The package is not installed."""
    lines = (read("/etc/os-release") or "").replace('"', "").splitlines()
    if value_after(lines, "ID=") == "rhel":
        return not_applicable("the host is Red Hat's own")
    if not _has_rpm_database():
        return _NO_DATABASE
    code, out = run(["rpm", "-q", "subscription-manager"], 30)
    return satisfied_if(code == 1, out.strip().splitlines()[-1] if out.strip() else "no answer")


@functools.lru_cache(maxsize=1)
def check_dnf() -> ProbeResult:
    """Whether dnf works on this host."""
    if not _has_rpm_database():
        return _NO_DATABASE
    code, out = run(["dnf", "-q", "-C", "list", "--installed", "bash"], 90)
    if code == 127:
        return not_tested("dnf is not installed")
    return satisfied_if(code == 0, f"dnf: {(out.strip().splitlines() or ['no answer'])[-1]}")


def _has_rpm_database() -> bool:
    """Return whether rpm has a database.

    Debian's rpm has none, and creates it in ``$HOME`` at the first query.
    """
    code, path = run(["rpm", "--eval", "%{_dbpath}"], 30)
    return code == 0 and os.path.isdir(path.strip())
