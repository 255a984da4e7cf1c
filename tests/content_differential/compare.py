"""Compare hardpan's resolution and its parts of a data stream with plain oscap."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import PreparedContent, StreamPart, prepare
from hardpan.scanners.content.scap_xml import create_parser
from hardpan.scanners.model.scan import ContentOrigin, RuleResult, Verdict
from hardpan.scanners.openscap.evaluate import compute_score
from tests.content_differential.oscap_run import (
    EVALUATED,
    OscapResult,
    RuleOutcome,
    evaluate,
)
from tests.content_differential.strategy import Case

MIN_DECIDED = 0.6
"""Share of the evaluated rules that must be pass or fail: else nothing is compared."""


def check_case(case: Case, folder: Path) -> str:
    """Evaluate a case both ways and return the outcome in a word.

    Raises:
        AssertionError: hardpan and oscap differ.
    """
    plain = evaluate(case.data, case.profile_id, folder, tailoring=case.tailoring, validates=True)
    prepared = prepare_case(case)
    if plain.exit_status not in EVALUATED:
        assert isinstance(prepared, InputError), f"oscap refuses it: {plain.message}"
        return "refused by both"
    assert not isinstance(prepared, InputError), f"hardpan refuses it: {prepared}"
    compare(plain, prepared, folder)
    return "reduced" if prepared.parts != (prepared.untouched,) else "untouched"


def prepare_case(case: Case) -> PreparedContent | InputError:
    """Prepare a case as a scan does; return the error if hardpan refuses it."""
    source = ContentSource(
        name="case-ds.xml",
        version="1.0",
        date="",
        origin="a test",
        origin_kind=ContentOrigin.FILE,
        sha256=sha256_bytes(case.data),
        data=case.data,
    )
    tailoring = None
    if case.tailoring is not None:
        tailoring = etree.fromstring(case.tailoring, create_parser())
    try:
        return prepare(source, case.profile_id, tailoring=tailoring)
    except InputError as error:
        return error


def compare(plain: OscapResult, prepared: PreparedContent, folder: Path) -> None:
    """Compare one evaluation with the parts of the content, and with the untouched content.

    Raises:
        AssertionError: they differ, or too few rules pass or fail.
    """
    require_decided(plain.rules)
    compare_resolution(plain, prepared)
    compare_score(plain, prepared)
    merged = merge_parts(prepared.parts, prepared.benchmark.profile_id, folder)
    require_decided(merged)
    assert merged == plain.rules
    untouched = merge_parts((prepared.untouched,), prepared.benchmark.profile_id, folder)
    assert untouched == plain.rules


def compare_resolution(plain: OscapResult, prepared: PreparedContent) -> None:
    """Compare the rules, severities, roles, weights and values with oscap's.

    Raises:
        AssertionError: they differ.
    """
    bench = prepared.benchmark
    expected = {r.rule_id: (r.severity, r.role, r.weight) for r in bench.rules}
    reported = {
        rule_id: {(severity, role, weight) for _, severity, role, weight in outcomes}
        for rule_id, outcomes in plain.rules.items()
    }
    assert {rule_id: {settings} for rule_id, settings in expected.items()} == reported
    assert dict(bench.values) == plain.values


def compare_score(plain: OscapResult, prepared: PreparedContent) -> None:
    """Compare the score over oscap's results with oscap's, where each rule has one result.

    Raises:
        AssertionError: they differ.
    """
    if any(len(outcomes) > 1 for outcomes in plain.rules.values()):
        return  # oscap takes the first one, hardpan their combination
    results = {
        rule_id: RuleResult(
            rule_id=rule_id, title="", severity=severity, verdict=Verdict(verdict), role=role
        )
        for rule_id, [(verdict, severity, role, _)] in plain.rules.items()
    }
    score = compute_score(prepared.benchmark.rules, results)
    assert math.isclose(score, plain.score, rel_tol=1e-5, abs_tol=1e-4), (score, plain.score)


def merge_parts(
    parts: Iterable[StreamPart],
    profile_id: str,
    folder: Path,
    *,
    timeout_s: float = 600,
    root: Path | None = None,
) -> dict[str, list[RuleOutcome]]:
    """Evaluate parts and return the outcomes of all.

    Raises:
        AssertionError: a rule is in two parts, or a part evaluates rules of another one.
    """
    merged: dict[str, list[RuleOutcome]] = {}
    for part in parts:
        result = evaluate(part.data, profile_id, folder, timeout_s=timeout_s, root=root)
        assert result.exit_status in EVALUATED, result.message
        assert set(result.rules) == set(part.rule_ids)
        assert not set(result.rules) & set(merged)
        merged |= result.rules
    return merged


def require_decided(rules: dict[str, list[RuleOutcome]]) -> None:
    """Require that most of the rules pass or fail.

    Raises:
        AssertionError: fewer than ``MIN_DECIDED`` of them do.
    """
    counts = Counter(outcome[0] for outcomes in rules.values() for outcome in outcomes[:1])
    decided = counts["pass"] + counts["fail"]
    assert decided >= MIN_DECIDED * counts.total() > 0, counts
