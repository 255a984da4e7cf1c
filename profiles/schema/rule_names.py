"""Match the names of a rule: XCCDF id, STIG id, SV id, V id, CCE, or a shell pattern of one.

Waivers, tailoring and policies name rules. The content, DISA's documents and checklists use
different ids for the same rule, and a site copies the one in front of it.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Protocol

_SHORT_ID = re.compile(r"xccdf_[^_]+_(?:rule|group|value|profile|benchmark)_(.+)", re.ASCII)
"""NISTIR 7275r4, section 6.2.3: ``xccdf_NAMESPACE_KIND_NAME``; the namespace has no ``_``."""

_SV_ID = re.compile(r"SV-([0-9]+)(r[0-9]+)?(?:_rule)?", re.ASCII | re.IGNORECASE)
"""DISA's rule: number, revision, suffix. The number is also that of its V id."""

_PATTERN_CHARACTERS = frozenset("*?[")
_MAX_NEAR_MATCHES = 3


class IdentifiedRule(Protocol):
    """Any object that carries the identifiers of a rule."""

    @property
    def rule_id(self) -> str:
        """Full XCCDF id."""

    @property
    def stig_ids(self) -> tuple[str, ...]:
        """DISA's STIG ids, e.g. ``RHEL-09-231125``."""

    @property
    def sv_ids(self) -> tuple[str, ...]:
        """DISA's rule ids, e.g. ``SV-257874r991589_rule``."""

    @property
    def cce(self) -> str:
        """Common Configuration Enumeration, e.g. ``CCE-90843-4``; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleNames:
    """The identifiers of a rule without its result."""

    rule_id: str
    stig_ids: tuple[str, ...] = ()
    sv_ids: tuple[str, ...] = ()
    cce: str = ""


def shorten_id(xccdf_id: str) -> str:
    """Return the name in a full XCCDF id, e.g. ``stig``; any other text is returned as it is."""
    match = _SHORT_ID.fullmatch(xccdf_id)
    return match[1] if match else xccdf_id


def is_pattern(selector: str) -> bool:
    """Return whether a selector is a shell pattern, which may match many rules."""
    return not _PATTERN_CHARACTERS.isdisjoint(selector)


def matches_rule(selector: str, rule: IdentifiedRule) -> bool:
    """Return whether ``selector`` names ``rule``, by one of its ids or by a shell pattern.

    XCCDF ids are compared exactly, ids of DISA and CCE without regard to case. An SV id without
    its revision matches every revision; with it, this revision alone, because a new revision may
    require something else.
    """
    names = _list_names(rule.rule_id, rule.stig_ids, rule.sv_ids, rule.cce)
    if is_pattern(selector):
        return any(fnmatchcase(name, selector) for name in names.xccdf) or any(
            fnmatchcase(name, selector.upper()) for name in names.foreign
        )
    if match := _SV_ID.fullmatch(selector):
        number, revision = match[1], (match[2] or "").lower()
        return any(
            number == other_number and (not revision or other_revision in ("", revision))
            for other_number, other_revision in names.sv_numbers
        )
    return selector in names.xccdf or selector.upper() in names.foreign


def find_near_matches(selector: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that a mistyped ``selector`` may stand for, the nearest first."""
    folded_names = {shorten_id(name).casefold(): name for name in names}
    matches = difflib.get_close_matches(
        shorten_id(selector).casefold(), folded_names, n=_MAX_NEAR_MATCHES, cutoff=0.75
    )
    return tuple(folded_names[name] for name in matches)


def iter_names(rule: IdentifiedRule) -> Iterator[str]:
    """Yield the names by which people know ``rule``: short XCCDF id, STIG, SV, V ids and CCE."""
    yield shorten_id(rule.rule_id)
    yield from _list_names(rule.rule_id, rule.stig_ids, rule.sv_ids, rule.cce).foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    xccdf: tuple[str, str]
    """Full and short id."""

    foreign: tuple[str, ...]
    """Ids that are not XCCDF's, in upper case."""

    sv_numbers: tuple[tuple[str, str], ...]
    """Number and revision (``r1155620`` or empty) of each SV id."""


@lru_cache(maxsize=4096)
def _list_names(
    rule_id: str, stig_ids: tuple[str, ...], sv_ids: tuple[str, ...], cce: str
) -> _Names:
    """Return every name of a rule; cached, because each waiver asks for those of every rule."""
    # DISA's own benchmarks have the SV id in the XCCDF id.
    matches = [_SV_ID.fullmatch(sv_id) for sv_id in (*sv_ids, shorten_id(rule_id))]
    sv_numbers = tuple((m[1], (m[2] or "").lower()) for m in matches if m)
    foreign = [stig_id.upper() for stig_id in stig_ids]
    foreign += [cce.upper()] if cce else []
    for number, revision in sv_numbers:
        foreign += [f"V-{number}", f"SV-{number}", f"SV-{number}{revision.upper()}_RULE"]
    return _Names(
        xccdf=(rule_id, shorten_id(rule_id)), foreign=tuple(foreign), sv_numbers=sv_numbers
    )
