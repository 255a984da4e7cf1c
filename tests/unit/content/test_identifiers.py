import pytest

from hardpan.scanners.content.benchmark import read_benchmark
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.stig.manual_stig import find_stig
from tests.content_differential import disa


def test_disa_rules_have_their_ids_in_other_places_than_upstream() -> None:
    root = parse_data_stream(disa.disa_stream(), "disa")

    bench = read_benchmark(root, disa.PROFILE, "disa")

    rule = bench.rules[0]
    assert (rule.sv_ids, rule.stig_ids) == (("SV-257777r991589_rule",), ("RHEL-09-257777",))
    assert (rule.group_ids, rule.ccis) == (("V-257777",), ("CCI-000366",))
    assert (rule.severity, rule.weight, rule.fix_text) == ("high", 10.0, "Update the system.")


@pytest.mark.parametrize(
    ("benchmark_id", "title"),
    [
        ("xccdf_mil.disa.stig_benchmark_RHEL_9_STIG", "Red Hat Enterprise Linux 9"),
        ("xccdf_org.ssgproject.content_benchmark_RHEL-10", "Red Hat Enterprise Linux 10"),
    ],
)
def test_both_forms_of_benchmark_ids_have_a_stig(benchmark_id: str, title: str) -> None:
    stig = find_stig(benchmark_id)

    assert stig is not None
    assert title in stig.title
