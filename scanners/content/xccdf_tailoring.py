"""Add the profiles of an XCCDF tailoring to a benchmark."""

import copy

from hardpan.core.errors import InputError
from hardpan.scanners.content.scap_xml import XCCDF, Element

_UNTAILORED = "_untailored"
"""Suffix of the id of a benchmark's profile that the tailoring replaces."""


def embed_tailoring(bench: Element, tailoring: Element, name: str) -> None:
    """Add the tailoring's profiles to the benchmark in place.

    As in OpenSCAP 1.3.7 to 1.4.4, a profile of the tailoring extends the tailoring's profile of
    that id, else the benchmark's. One that extends its own id extends the benchmark's profile,
    which therefore gets another id.

    Raises:
        InputError: the tailoring has no profile, or one without an id.
    """
    profiles = tailoring.findall(XCCDF + "Profile")
    tailored_ids = [p.get("id", "") for p in profiles]
    if not profiles or "" in tailored_ids or len(set(tailored_ids)) < len(tailored_ids):
        raise InputError(f"{name}: tailoring: expected profiles with unique ids")
    benchmark_profiles = bench.findall(XCCDF + "Profile")
    for profile in benchmark_profiles:
        for attribute in ("id", "extends"):
            if profile.get(attribute) in tailored_ids:
                profile.set(attribute, profile.get(attribute, "") + _UNTAILORED)
    anchor = benchmark_profiles[-1] if benchmark_profiles else _last_before_items(bench)
    for profile in profiles:
        embedded = copy.deepcopy(profile)
        embedded.tail = "\n"
        if embedded.get("extends") == embedded.get("id"):
            embedded.set("extends", embedded.get("id", "") + _UNTAILORED)
        anchor.addnext(embedded)
        anchor = embedded


def _last_before_items(bench: Element) -> Element:
    """Return the element after which a benchmark's schema allows profiles."""
    tags = ("model", "metadata", "version")
    return next(e for t in tags for e in reversed(bench.findall(XCCDF + t)))
