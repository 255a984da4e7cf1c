"""Identifiers of a rule in other documents: DISA's STIGs, NIST SP 800-53, CCE and CCI."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hardpan.scanners.content.scap_xml import XCCDF, Element, element_text

_DISA_RULE = "xccdf_mil.disa.stig_rule_"
_DISA_GROUP = "xccdf_mil.disa.stig_group_"
_SV_REFERENCES = ("cyber.mil/stigs/srg-stig-tools/", "iase.disa.mil/stigs")
_STIG_REFERENCES = (
    "_dl_facet_stigs=operating-systems%2Cunix-linux",
    "disa.mil/stigs/os/unix-linux",
)
_NIST = "NIST.SP.800-53"
_STIG_ID = re.compile(r"[A-Z]{2,6}-?[0-9]{2}(-[0-9]{2})?-[0-9]{1,6}")
_CCI = re.compile(r"CCI-[0-9]{6}")
_VULNERABILITY = re.compile(r"V-[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """Each sorted and without repetition."""

    stig_ids: tuple[str, ...]
    """E.g. ``RHEL-09-651010``: a reference of upstream's rules, the version of DISA's."""

    sv_ids: tuple[str, ...]
    """E.g. ``SV-258134r1155620_rule``: a reference of upstream's rules, the id of DISA's."""

    group_ids: tuple[str, ...]
    """E.g. ``V-258134``: the id of the group of DISA's rules; upstream's have none."""

    ccis: tuple[str, ...]
    nist: tuple[str, ...]
    cce: str
    """Empty if the rule has none."""


def read_identifiers(rule: Element) -> Identifiers:
    """Read the identifiers of a rule of ComplianceAsCode or of DISA's SCAP benchmarks."""
    references = [(r.get("href", ""), element_text(r)) for r in rule.findall(XCCDF + "reference")]
    idents = [element_text(i) for i in rule.findall(XCCDF + "ident")]
    stig_ids = {t for t in _match(references, _STIG_REFERENCES) if _STIG_ID.fullmatch(t)}
    sv_ids = {t for t in _match(references, _SV_REFERENCES) if t.startswith("SV-")}
    rule_id = rule.get("id", "")
    if rule_id.startswith(_DISA_RULE):
        sv_ids.add(rule_id.removeprefix(_DISA_RULE))
        stig_ids.add(element_text(rule.find(XCCDF + "version")))
    groups = [g.get("id", "") for g in rule.iterancestors(XCCDF + "Group")]
    numbers = [g.removeprefix(_DISA_GROUP) for g in groups if g.startswith(_DISA_GROUP)]
    return Identifiers(
        stig_ids=tuple(sorted(stig_ids - {""})),
        sv_ids=tuple(sorted(sv_ids)),
        group_ids=tuple(sorted({n for n in numbers if _VULNERABILITY.fullmatch(n)})),
        ccis=tuple(sorted({i for i in idents if _CCI.fullmatch(i)})),
        nist=tuple(sorted({t for href, t in references if _NIST in href and t})),
        cce=next((i for i in idents if i.startswith("CCE-")), ""),
    )


def _match(references: Iterable[tuple[str, str]], hrefs: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts of the references to these pages."""
    return (text for href, text in references if any(h in href for h in hrefs))
