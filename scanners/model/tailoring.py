"""How a tailoring changes a profile: what an auditor must see."""

from dataclasses import dataclass
from typing import Literal

from hardpan.core.files import Sha256

TailoringFormat = Literal["yaml", "xccdf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TailoredRule:
    """A rule that is evaluated with the base profile or with the tailored one, not with both."""

    rule_id: str
    title: str
    severity: str
    reason: str
    """Empty if the tailoring has none."""

    sv_ids: tuple[str, ...] = ()
    """DISA rule versions, e.g. ``SV-257874r991589_rule``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailoredSetting:
    """A setting with another value than in the base profile."""

    name: str
    """Id of a Value, or ``severity``, ``role`` or ``weight``."""

    rule_id: str
    """The rule whose severity, role or weight it is; empty for a Value."""

    base: str
    value: str
    reason: str
    """Empty if the tailoring has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tailoring:
    """A tailoring and its effect on the base profile."""

    file: str
    """Name of the file, without its folder."""

    data: bytes
    """Its bytes, which are attached to the evidence."""

    sha256: Sha256
    format: TailoringFormat
    title: str
    author: str
    """The author that it names; empty for none."""

    version: str
    """Version and time of an XCCDF tailoring, as it says; may be empty."""

    profile_id: str
    """The profile that is evaluated."""

    base_profile_id: str
    """The benchmark's profile that it extends; empty for a profile that extends none."""

    unselected: tuple[TailoredRule, ...]
    """Rules of the base profile that are not evaluated."""

    selected: tuple[TailoredRule, ...]
    """Rules that are evaluated, and are not in the base profile."""

    settings: tuple[TailoredSetting, ...]
    notes: tuple[str, ...] = ()
    """What was ignored in the file."""
