"""NIST SP 800-53 references as content writes them, and as OSCAL names them.

Content mixes four notations: of the control (``AC-6(1)``, ``CM-7 (5) (b)``,
``CM6(a)``), of its parts (``CM-6(a)``, ``AU-12 b``), of the assessment guide
SP 800-53A (``AC-7.1(ii)``, ``AC-11(1).1``), and two of them run together. In
OSCAL ``ac-6.1`` is an enhancement; in the assessment guide ``AC-7.1`` is an
objective of AC-7. Reading one for the other would tell an auditor that a control
was looked at which was not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_REFERENCE = re.compile(
    r"(A[CPRTU]|C[AMP]|D[IM]|I[APR]|M[AP]|P[ELMST]|RA|S[ACEIR]|TR|UL)"  # the family
    r"-?([1-9]\d?)(?![0-9A-Za-z])"  # the control
    r"(?:\ ?\(([1-9]\d?)\))?"  # an enhancement
    r"(\.\d{1,2})?"  # an objective of the assessment guide
    r"(?:\ ?\(([a-z])\)|\ ([a-z])(?![a-z(]))?",  # a part of the statement
    re.ASCII,
)
_CONCATENATED = re.compile(r"(?<=\))(?=[A-Z]{2}-?\d)")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NistControl:
    """One control, or one lettered part of it."""

    control_id: str
    """As OSCAL's catalogs name it: ``ac-6.1``."""

    part: str
    """The letter of the part that was meant; empty for the whole control."""

    @property
    def statement_id(self) -> str:
        """The statement, as OSCAL's catalogs name it: ``cm-6_smt.a``."""
        return f"{self.control_id}_smt.{self.part}" if self.part else f"{self.control_id}_smt"


@lru_cache(maxsize=4096)
def parse_reference(reference: str) -> tuple[NistControl, ...]:
    """The controls that one reference names; none where it names none."""
    parsed = []
    for piece in _CONCATENATED.split(reference.strip()):
        match = _REFERENCE.match(piece)
        if match is None:
            continue
        family, number, enhancement, objective, part_in_brackets, part_after_space = match.groups()
        name = f"{family.lower()}-{number}" + (f".{enhancement}" if enhancement else "")
        # After an objective's number, letters count objectives, not parts.
        part = "" if objective else part_in_brackets or part_after_space or ""
        parsed.append(NistControl(control_id=name, part=part))
    return tuple(parsed)


def collect_controls(references: Iterable[str]) -> tuple[NistControl, ...]:
    """One entry per control that ``references`` name, in order of the ids.

    The part is retained if all references to a control name the same part.
    """
    parts: dict[str, set[str]] = {}
    for reference in references:
        for control in parse_reference(reference):
            parts.setdefault(control.control_id, set()).add(control.part)
    return tuple(
        NistControl(control_id=name, part=letters.pop() if len(letters) == 1 else "")
        for name, letters in sorted(parts.items(), key=lambda x: _sort_key(x[0]))
    )


def _sort_key(control_id: str) -> tuple[str, tuple[int, ...]]:
    family, _, numbers = control_id.partition("-")
    return family, tuple(map(int, numbers.split(".")))
