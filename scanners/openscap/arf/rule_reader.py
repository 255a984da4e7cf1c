"""Reads the rule-results of an ARF: their result, their checks and what replaced a result.

Source: XCCDF 1.2 (NISTIR 7275r4), section 6.6.4.
"""

from collections.abc import Callable, Sized
from typing import Protocol

from hardpan.scanners.openscap.arf.state import (
    RawCheck,
    RawRuleResult,
    invalid_arf,
    sanitize_line,
)

XCCDF = "http://checklists.nist.gov/xccdf/1.2 "
MAX_CHECK_LINES = 12
"""Lines of evidence of one check."""

_MAX_CHECKS = 200
"""Checks of one rule-result; upstream's content has at most 2."""

_MAX_REFERENCES = 100
"""References and exported values of one check."""

_MAX_OVERRIDES = 4
_MAX_PIECES = 1_000
"""Pieces of the text that describes a complex check."""

_SCE = "http://open-scap.org/page/SCE"
_TRUE = ("true", "1")
_CHECK_PARENTS = (XCCDF + "rule-result", XCCDF + "complex-check")


class CaptureText(Protocol):
    """Passes the text of the current element to a function."""

    def __call__(self, sink: Callable[[str], None], *, include_children: bool = False) -> None:
        """Capture the text."""


class RuleReader:
    """Handles the elements inside a rule-result; ``path`` is the current element of the parser."""

    def __init__(
        self,
        name: str,
        path: list[str],
        read_id: Callable[[dict[str, str], str], str],
        capture_text: CaptureText,
        count_record: Callable[[], None],
    ) -> None:
        self._name = name
        self._path = path
        self._read_id = read_id
        self._capture_text = capture_text
        self._count_record = count_record
        self._rule = RawRuleResult(rule_id="")
        self._check: RawCheck | None = None

    def start_result(self, attributes: dict[str, str]) -> None:
        """Begin a rule-result."""
        self._rule = RawRuleResult(
            rule_id=self._read_id(attributes, "idref"),
            severity=self._read_id(attributes, "severity"),
            role=self._read_id(attributes, "role"),
            weight=self._read_id(attributes, "weight"),
        )
        self._check = None

    def end_result(self) -> RawRuleResult:
        """Return the rule-result that ends."""
        self._check = None
        return self._rule

    def in_result(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin a child of a rule-result."""
        rule = self._rule
        if tag == XCCDF + "result" and not rule.result:
            self._capture_text(lambda text: setattr(rule, "result", text.strip()))
        elif tag == XCCDF + "message" and len(rule.messages) < MAX_CHECK_LINES:
            self._capture_text(
                lambda text: rule.messages.append(sanitize_line(text)), include_children=True
            )
        elif tag == XCCDF + "override":
            self._start_override(attributes)
        elif tag in (XCCDF + "check", XCCDF + "complex-check"):
            self._start_any_check(tag, attributes)

    def in_complex_check(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin a child of a complex-check."""
        if tag in (XCCDF + "check", XCCDF + "complex-check"):
            if self._rule.expression and not self._rule.expression[-1].endswith("("):
                self._add_piece(", ")
            self._start_any_check(tag, attributes)

    def end_complex_check(self) -> None:
        """End a complex-check."""
        self._add_piece(")")

    def in_check(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin a child of a check."""
        check = self._check
        if check is None or self._path[-3] not in _CHECK_PARENTS:
            return
        if tag == XCCDF + "check-content-ref":
            self._require_fewer(check.references, _MAX_REFERENCES, "references in one check")
            report = self._read_id(attributes, "href").removeprefix("#")
            check.references.append((report, self._read_id(attributes, "name")))
        elif tag == XCCDF + "check-export":
            self._require_fewer(check.value_ids, _MAX_REFERENCES, "values in one check")
            check.value_ids.append(self._read_id(attributes, "value-id"))
        elif tag == XCCDF + "check-import":
            self._capture_text(lambda text: _add_output_lines(check, text))

    def in_override(self, tag: str, _attributes: dict[str, str]) -> None:
        """Begin a child of an override."""
        overrides = self._rule.overrides
        if not overrides or self._path[-3] != XCCDF + "rule-result":
            return
        label = tag.rpartition(" ")[2]
        if label in ("old-result", "new-result", "remark"):

            def add_text(text: str) -> None:
                overrides[-1] = sanitize_line(f"{overrides[-1]}, {label} {text}")

            self._capture_text(add_text)

    def _start_override(self, attributes: dict[str, str]) -> None:
        overrides = self._rule.overrides
        author = attributes.get("authority", "")[:200]
        time = attributes.get("time", attributes.get("date", ""))[:40]
        text = sanitize_line(f"the result was replaced by {author!a} at {time!a}")
        if len(overrides) < _MAX_OVERRIDES:
            overrides.append(text)
        else:
            overrides[-1] = text

    def _start_any_check(self, tag: str, attributes: dict[str, str]) -> None:
        prefix = "NOT " if attributes.get("negate", "") in _TRUE else ""
        if tag == XCCDF + "complex-check":
            self._add_piece(f"{prefix}{attributes.get('operator', '')[:3]}(")
            return
        checks = self._rule.checks
        self._require_fewer(checks, _MAX_CHECKS, "checks in one result")
        self._check = RawCheck(
            engine=_name_engine(attributes.get("system", "")), is_negated=bool(prefix)
        )
        checks.append(self._check)
        if self._rule.expression:
            self._add_piece(f"{prefix}check {len(checks)}")

    def _add_piece(self, text: str) -> None:
        """Add to the description of a complex check."""
        if len(self._rule.expression) < _MAX_PIECES:
            self._rule.expression.append(text)

    def _require_fewer(self, records: Sized, maximum: int, description: str) -> None:
        """Count one more record that belongs to a rule-result."""
        self._count_record()
        if len(records) >= maximum:
            raise invalid_arf(self._name, f"has more than {maximum} {description}")


def _name_engine(system: str) -> str:
    if system == _SCE:
        return "SCE"
    return "OVAL" if "oval" in system else ""


def _add_output_lines(check: RawCheck, text: str) -> None:
    lines = (sanitize_line(x) for x in text.splitlines() if x.strip())
    check.output_lines += list(lines)[: MAX_CHECK_LINES - len(check.output_lines)]
