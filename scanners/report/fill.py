"""From a scan to its documents. What came from a target is made harmless to read here."""

import math
import re
from dataclasses import asdict
from typing import cast, get_args

from hardpan.profiles.upstream import RULE_PREFIX
from hardpan.scanners.fips.wording import wording
from hardpan.scanners.model import Scan, Waiver
from hardpan.scanners.report.documents import Findings, MeasurePart, SmokeDocument
from hardpan.scanners.report.fields import (
    HOST_KEY_TRUST,
    VERDICTS,
    Number,
    Outcome,
    Severity,
    VerdictName,
)
from hardpan.scanners.report.parts import (
    CheckPart,
    ContentPart,
    FipsPart,
    HalfPart,
    HostPart,
    ImagePart,
    PairedPart,
    PairPart,
    Rule,
    StigPart,
    WaiverPart,
)
from hardpan.scanners.stig.table import stig_for
from hardpan.scanners.trials import Half, Held, Pair, Smoke

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)


def findings(scan: Scan) -> Findings:
    """The findings document of ``scan``; a target's words are made harmless to read."""
    made = scan.evaluation
    content = made.content
    return Findings(
        schema_version="1.0",
        profile=clean(scan.profile),
        started=scan.started or made.started,
        finished=scan.finished or made.finished,
        host=_host(scan),
        image=_image(scan),
        content=ContentPart(
            name=clean(content.name),
            version=clean(content.version),
            date=content.date,
            source_sha256=content.source_sha256,
            derived_sha256=content.derived_sha256,
            origin=clean(content.origin),
            origin_kind=content.origin_kind.value,
            derivation=clean(content.derivation),
            benchmark_id=clean(made.benchmark_id),
            profile_id=clean(made.profile_id),
            engine=clean(made.engine),
        ),
        score=f"{made.score:.2f}",
        counts=made.counts(),
        before=None if scan.before is None else {v: scan.before.get(v, 0) for v in VERDICTS},
        rules=_rules(scan),
        checks=tuple(
            CheckPart(
                name=clean(c.name),
                outcome=cast(Outcome, c.outcome),
                message=clean(c.message),
                took_s=_plain(c.took_s) or 0,
            )
            for c in scan.checks
        ),
        paired=_paired(scan),
        fips=_fips(scan),
        stig=_stig(made.benchmark_id),
    )


def smoke(made: Smoke) -> SmokeDocument:
    """The smoke test's document."""
    return SmokeDocument(
        backend=clean(made.backend),
        framework=clean(made.framework),
        model=clean(made.model),
        model_sha256=clean(made.model_sha256),
        verdict=clean(made.verdict),
        reason=clean(made.reason),
        measures=tuple(
            MeasurePart(
                name=clean(m.name),
                unit=clean(m.unit),
                direction=clean(m.direction),
                value=_plain(m.value),
                n=m.n,
                minimum=_plain(m.minimum),
                maximum=_plain(m.maximum),
                verdict=clean(m.verdict),
                reason=clean(m.reason),
            )
            for m in made.measures
        ),
        environment={_key(k): clean(v) for k, v in made.environment.items()},
    )


def clean(text: str) -> str:
    """``text`` with every character that hides or moves other text shown as U+FFFD.

    Control characters, lone surrogates and bidirectional overrides come from
    targets and would lie on a screen or break XML. Line ends and tabs stay.
    """
    return _HIDDEN.sub("\ufffd", text)


def _host(scan: Scan) -> HostPart:
    host = scan.host
    values: dict[str, object] = {name: getattr(host, name) for name in HostPart.model_fields}
    # What is not one of the ways of knowing a key claims none of them.
    trust = str(host.host_key_trust)
    values["host_key_trust"] = trust if trust in HOST_KEY_TRUST else "unknown"
    return HostPart.model_validate(_cleaned(values))


def _fips(scan: Scan) -> FipsPart | None:
    if scan.fips is None:
        return None
    # Its texts fit narrow patterns already; cleaning them again costs nothing.
    modules = [_cleaned(asdict(m)) for m in scan.fips.modules]
    foreign = [_cleaned(asdict(x)) for x in scan.fips.non_system_crypto]
    said = clean(wording(scan.fips))
    rest = _cleaned({**asdict(scan.fips), "statement": said})
    return FipsPart.model_validate({**rest, "modules": modules, "non_system_crypto": foreign})


def _stig(benchmark_id: str) -> StigPart | None:
    stig = stig_for(benchmark_id)
    if stig is None:
        return None
    names = StigPart.model_fields
    return StigPart.model_validate({name: getattr(stig, name) for name in names})


def _cleaned(values: dict[str, object]) -> dict[str, object]:
    return {k: clean(v) if isinstance(v, str) else v for k, v in values.items()}


def _image(scan: Scan) -> ImagePart | None:
    if scan.image is None:
        return None
    return ImagePart(
        name=clean(scan.image.name),
        sha256=scan.image.sha256,
        provenance_statement_sha256=scan.image.provenance_statement_sha256,
    )


def _paired(scan: Scan) -> PairedPart | None:
    if scan.paired is None:
        return None
    return PairedPart(
        confinement=clean(scan.paired.confinement),
        pairs=tuple(_pair(p, scan) for p in scan.paired.pairs),
    )


def _pair(made: Pair, scan: Scan) -> PairPart:
    return PairPart(
        conflict=clean(made.conflict),
        row=clean(made.row),
        title=clean(made.title),
        rules=tuple(map(clean, made.rules)),
        resolution=clean(made.resolution),
        verdict=made.verdict.value,
        reason=clean(made.reason),
        waiver=_pair_waiver(made, scan),
        control=_half(made.control),
        action=_half(made.action),
    )


def _pair_waiver(made: Pair, scan: Scan) -> WaiverPart | None:
    """Why the control is left as it is, where that alone failed and a rule of it is waived."""
    if made.control.outcome is not Held.BROKEN or made.action.outcome in (Held.BROKEN, Held.ERROR):
        return None
    ids = (RULE_PREFIX + name for name in made.content)
    return next((_waiver(scan.waivers[i]) for i in ids if i in scan.waivers), None)


def _waiver(made: Waiver | None) -> WaiverPart | None:
    if made is None:
        return None
    return WaiverPart(
        reason=clean(made.reason),
        owner=clean(made.owner),
        expires=made.expires,
        holds=made.holds,
    )


def _half(made: Half) -> HalfPart:
    return HalfPart(
        outcome=made.outcome.value,
        looked_at=clean(made.looked_at),
        expected=clean(made.expected),
        found=clean(made.found),
    )


def _rules(scan: Scan) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            rule_id=clean(r.rule_id),
            title=clean(r.title),
            severity=_severity(r.severity),
            verdict=cast(VerdictName, r.verdict.value),
            waiver=_waiver(scan.waivers.get(r.rule_id)),
            stig_ids=tuple(map(clean, r.stig_ids)),
            sv_ids=tuple(map(clean, r.sv_ids)),
            nist=tuple(map(clean, r.nist)),
            ccis=tuple(map(clean, r.ccis)),
            group_ids=tuple(map(clean, r.group_ids)),
            cce=clean(r.cce),
            engine=clean(r.engine),
            found=tuple(map(clean, r.found)),
            rationale=clean(r.rationale),
            fix_text=clean(r.fix_text),
        )
        for r in scan.evaluation.results
    )


def _severity(name: str) -> Severity:
    return cast(Severity, name) if name in get_args(Severity) else "unknown"


def _key(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _plain(number: float) -> Number | None:
    if not math.isfinite(number) or abs(number) > 2**53:
        return None
    rounded = round(number, 4)
    return int(rounded) if rounded == int(rounded) else rounded
