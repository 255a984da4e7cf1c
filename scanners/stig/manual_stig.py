"""DISA's manual STIGs, requirement by requirement, from dated files in this folder.

Upstream's SCAP content lost its CCIs in 2025 and never had DISA's own severities,
which differ from the content's for one rule in fifteen. Both are joined here by the
requirement's id. The texts are works of the United States government, in the public
domain; ``tests/tools/stig_data.py`` derived the files and recorded the source of each with
digests.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from hardpan.core.files import Sha256
from hardpan.core.resources import resource_path

STIG_FILES = {"RHEL-9": "rhel9.json", "RHEL-10": "rhel10.json"}
"""End of the content's benchmark id -> DISA's STIG for it."""

CATEGORIES = {"high": "I", "medium": "II", "low": "III"}
"""DISA's severity -> its category (CAT)."""

STALE_AFTER = timedelta(days=180)
"""DISA publishes a release of a STIG each quarter, if anything changed."""

_REVISION = re.compile(r"S(V-[0-9]{1,7})r[0-9]{1,8}_rule")
_CONTROL = re.compile(r"([A-Z]{2}-[0-9]{1,2})(?: \(([0-9]{1,2})\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class StigRequirement:
    """One requirement of a STIG."""

    stig_id: str
    """E.g. ``RHEL-09-211010``."""

    group_id: str
    """E.g. ``V-257777``; stays when the requirement is revised."""

    rule_id: str
    """E.g. ``SV-257777r1155676_rule``; counts up with each revision."""

    group_title: str
    """Id of the general requirement that it refines, ``SRG-OS-…``."""

    severity: str
    """``high``, ``medium`` or ``low``, by DISA."""

    weight: str
    title: str
    ccis: tuple[str, ...]
    discussion: str
    check_id: str
    check_href: str
    check_name: str
    check: str
    fix_id: str
    fix: str

    @property
    def category(self) -> str:
        """``I``, ``II`` or ``III``."""
        return CATEGORIES[self.severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualStig:
    """One release of one STIG."""

    benchmark: str
    """DISA's id, e.g. ``RHEL_9_STIG``."""

    title: str
    version: str
    release_info: str
    """DISA's text, e.g. ``Release: 9 Benchmark Date: 01 Jul 2026``; importers parse it."""

    release: str
    benchmark_date: str
    """Day of the release, ``YYYY-MM-DD``."""

    cci_list_date: str
    """Day of DISA's list of CCIs that maps these to controls."""

    target_key: str
    """DISA's number of the product."""

    source_sha256: Sha256
    """Digest of DISA's manual XCCDF."""

    as_of: str
    """Day on which the file in this folder was derived."""

    controls: dict[str, str]
    """CCI -> place in NIST SP 800-53 revision 5, in DISA's notation: ``AC-2 (1)``, ``CM-6 b``."""

    controls_rev4: dict[str, str]
    """The same in revision 4, to which upstream's content refers."""

    requirements_by_group: dict[str, StigRequirement]
    """Group id -> requirement, in DISA's order."""

    @property
    def requirements(self) -> tuple[StigRequirement, ...]:
        """All of them, in DISA's order."""
        return tuple(self.requirements_by_group.values())

    @property
    def revision(self) -> str:
        """E.g. ``V2R9``."""
        return f"V{self.version}R{self.release}"

    def ccis_of(self, sv_ids: Iterable[str]) -> tuple[str, ...]:
        """CCIs of the requirements that content names by ``SV-…_rule``, sorted."""
        groups = self.groups_of(sv_ids)
        return tuple(sorted({c for g in groups for c in self.requirements_by_group[g].ccis}))

    def groups_of(self, sv_ids: Iterable[str]) -> tuple[str, ...]:
        """Group ids of the requirements that content names by ``SV-…_rule``, sorted."""
        return tuple(
            sorted({g for g in map(parse_group_id, sv_ids) if g in self.requirements_by_group})
        )

    def severity_of(self, group_ids: Iterable[str]) -> str:
        """Return the highest severity of these requirements; empty if there is none."""
        severities = [self.requirements_by_group[g].severity for g in group_ids]
        return min(severities, key=list(CATEGORIES).index, default="")

    def controls_of(self, ccis: Iterable[str]) -> tuple[str, ...]:
        """Controls of NIST SP 800-53 revision 5 behind ``ccis``: ``AC-2(1)``, ``CM-6``; sorted."""
        return tuple(
            sorted({normalize_control(self.controls[c]) for c in ccis if c in self.controls})
        )

    def references_of(self, ccis: Iterable[str]) -> tuple[str, ...]:
        """Places in NIST SP 800-53 behind ``ccis``, in DISA's notation; sorted.

        They are those of revision 4, as upstream's content has them; of revision 5 for a CCI that
        is new in it.
        """
        places = self.controls | self.controls_rev4
        return tuple(sorted({places[c] for c in ccis if c in places}))

    def release_to_json(self) -> dict[str, str]:
        """Return the release and its days, as JSON data."""
        return {
            "benchmark": self.benchmark,
            "revision": self.revision,
            "date": self.benchmark_date,
            "cci_list_date": self.cci_list_date,
            "as_of": self.as_of,
        }

    def describe(self) -> str:
        """Name the release and its day: ``RHEL_9_STIG V2R9 of 2026-07-01``."""
        return f"{self.benchmark} {self.revision} of {self.benchmark_date}"

    def is_stale(self, today: date) -> bool:
        """Return whether DISA has probably published a newer one, or the date is in the future."""
        return not timedelta(0) <= today - date.fromisoformat(self.as_of) <= STALE_AFTER


def parse_group_id(sv_id: str) -> str:
    """Return ``V-257777`` of ``SV-257777r1155676_rule``; empty for another form."""
    match = _REVISION.fullmatch(sv_id)
    return match[1] if match else ""


def normalize_control(reference: str) -> str:
    """Return the control, with its enhancement, of a reference such as ``AC-2 (1) (a)``."""
    match = _CONTROL.match(reference)
    if match is None:
        return reference
    return f"{match[1]}({match[2]})" if match[2] else match[1]


def find_stig(benchmark_id: str) -> ManualStig | None:
    """Return DISA's STIG for the content's benchmark; None if there is none.

    Upstream's ids end in ``_benchmark_RHEL-9``, those of DISA in ``_benchmark_RHEL_9_STIG``.
    """
    product = benchmark_id.rpartition("_benchmark_")[2].removesuffix("_STIG").replace("_", "-")
    name = STIG_FILES.get(product)
    return None if name is None else _load_stig(name)


def list_stigs() -> tuple[ManualStig, ...]:
    """Return every STIG in this folder."""
    return tuple(_load_stig(name) for name in STIG_FILES.values())


@lru_cache(maxsize=len(STIG_FILES))
def _load_stig(name: str) -> ManualStig:
    document = json.loads(resource_path("hardpan.scanners.stig", name).read_bytes())
    rows = [StigRequirement(**{**r, "ccis": tuple(r["ccis"])}) for r in document["requirements"]]
    return ManualStig(
        **document["stig"],
        as_of=document["as_of"],
        controls=document["controls"],
        controls_rev4=document["controls_rev4"],
        requirements_by_group={r.group_id: r for r in rows},
    )
