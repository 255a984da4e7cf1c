import pytest

from hardpan.scanners.report.oscal.nist_controls import (
    NistControl,
    collect_controls,
    parse_reference,
)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("CM-6", ["cm-6_smt"]),
        ("CM-6(a)", ["cm-6_smt.a"]),
        ("CM6(a)", ["cm-6_smt.a"]),
        ("AU-12 b", ["au-12_smt.b"]),
        ("AC-7 (a)", ["ac-7_smt.a"]),
        ("AC-6(1)", ["ac-6.1_smt"]),
        ("AC-6 (1)", ["ac-6.1_smt"]),
        ("AC-6(10)", ["ac-6.10_smt"]),
        ("CM-7 (5) (b)", ["cm-7.5_smt.b"]),
        ("IA-5(1)(d)", ["ia-5.1_smt.d"]),
        # The assessment guide's notation: .1 is an objective there, no enhancement.
        ("AC-7.1(ii)", ["ac-7_smt"]),
        ("AC-11(1).1", ["ac-11.1_smt"]),
        ("IA-5(1).1(v)", ["ia-5.1_smt"]),
        ("CM-6(iv)", ["cm-6_smt"]),
        ("AU-12.1(iv)AU-12(c)", ["au-12_smt", "au-12_smt.c"]),
        ("  SC-13\n", ["sc-13_smt"]),
    ],
)
def test_parse_reference_reads_every_notation(reference: str, expected: list[str]) -> None:
    assert [c.statement_id for c in parse_reference(reference)] == expected


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "CM",
        "CM-0",
        "AC-123",
        "AC-1234(1)",
        "XX-6",
        "cm-6",
        "AC-٢",
        "A.9.4.2",
        "Req-8.1",
        "PR.AC-1",
        "-AC-6",
        "<b>AC-6</b>",
        "AC\u00a06",
    ],
)
def test_parse_reference_ignores_other_references(reference: str) -> None:
    assert parse_reference(reference) == ()


def test_collect_controls_deduplicates_and_keeps_common_part() -> None:
    result = collect_controls(
        ["CM-6(a)", "AC-10", "AC-2(5)", "CM-6(a)", "AC-2(g)", "CM-7(a)", "CM-7(b)"]
    )

    assert result == (
        NistControl(control_id="ac-2", part="g"),
        NistControl(control_id="ac-2.5", part=""),
        NistControl(control_id="ac-10", part=""),
        NistControl(control_id="cm-6", part="a"),
        NistControl(control_id="cm-7", part=""),
    )
