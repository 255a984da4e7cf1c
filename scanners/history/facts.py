"""The facts that a scan tells once, and the figures of its smoke test."""

from collections.abc import Mapping

from hardpan.scanners.history.model import Count, Figure
from hardpan.scanners.report.changes import Fact
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import HOST_KEY_TRUST, SEVERITIES, VERDICTS, Number

_MOST_PERCENT = 1_000_000


def facts(
    old: Findings,
    new: Findings,
    smoke: tuple[SmokeDocument | None, SmokeDocument | None],
) -> tuple[Fact, ...]:
    """What is not the same any more, in the order people ask for it."""
    before, after = {**_of(old), **_smoke(smoke[0])}, {**_of(new), **_smoke(smoke[1])}
    return tuple(
        Fact(name=name, old=before.get(name, ""), new=after.get(name, ""))
        for name in {**before, **after}
        if before.get(name, "") != after.get(name, "")
    )


def counts(old: Findings, new: Findings) -> tuple[Count, ...]:
    """Verdicts, open findings and checks whose number changed."""
    before, after = _counts(old), _counts(new)
    return tuple(
        Count(name=n, old=before.get(n, 0), new=after.get(n, 0))
        for n in {**before, **after}
        if before.get(n, 0) != after.get(n, 0)
    )


def figures(old: SmokeDocument | None, new: SmokeDocument | None) -> tuple[Figure, ...]:
    """Every figure of either smoke test, with its relative change."""
    before = {m.name: m for m in old.measures} if old else {}
    after = {m.name: m for m in new.measures} if new else {}
    made = []
    for name in {**before, **after}:
        was, now = before.get(name), after.get(name)
        one = now or was
        # Two units under one name are two figures: no change can be told.
        same = was is not None and now is not None and was.unit == now.unit
        if one is None or not (same or was is None or now is None):
            continue
        values = (_plain(was.value if was else None), _plain(now.value if now else None))
        made.append(
            Figure(
                name=name,
                unit=one.unit,
                direction=one.direction,
                old=values[0],
                new=values[1],
                percent=_percent(*values),
            )
        )
    return tuple(made)


def _percent(old: Number | None, new: Number | None) -> Number | None:
    if old is None or new is None or old == 0:
        return None
    made = (new - old) / abs(old) * 100
    return _plain(round(made, 1)) if abs(made) <= _MOST_PERCENT else None


def _plain(number: Number | None) -> Number | None:
    """A figure as canonical JSON takes it: evidence that hardpan did not write may hold others."""
    if number is None or not -(10**15) < number < 10**15:
        return None
    rounded = round(number, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _of(found: Findings) -> dict[str, str]:
    host, content, image, fips = found.host, found.content, found.image, found.fips
    told = {
        "profile": found.profile,
        "host key": host.host_key_sha256,
        "host key's trust": HOST_KEY_TRUST[host.host_key_trust],
        "machine": host.machine_id_hmac,
        "system": f"{host.os_name} {host.os_version}".strip(),
        "kernel": host.kernel,
        "kernel command line": host.cmdline,
        "FIPS mode": "on" if host.fips_kernel_flag else "off",
        "image": f"{image.name} sha256:{image.sha256}" if image else "not built by hardpan",
        "content": f"{content.name} {content.version}",
        "content's data stream": f"sha256:{content.derived_sha256}",
        "SCAP profile": content.profile_id,
        "engine": content.engine,
        "score": found.score,
    }
    if fips is not None:
        told |= {
            "OpenSSL's FIPS provider": f"{fips.provider_active} {fips.provider_version}".strip(),
            "crypto policy": fips.crypto_policy,
            **{f"module {m.name}": f"{m.nevra}, certificate: {m.state}" for m in fips.modules},
        }
    return told


def _smoke(made: SmokeDocument | None) -> dict[str, str]:
    if made is None:
        return {"smoke test": "did not run"}
    return {
        "smoke test": made.verdict,
        "framework": f"{made.framework}, {made.backend}",
        "model": f"{made.model} sha256:{made.model_sha256}",
        "processor": made.environment.get("cpu", ""),
    }


def _counts(found: Findings) -> Mapping[str, int]:
    opened = found.open_by_severity()
    told = {v: found.counts[v] for v in VERDICTS}
    told |= {f"open {s}": opened[s] for s in SEVERITIES}
    told["waived"] = sum(r.is_waived for r in found.rules)
    told |= {f"checks {o}": n for o, n in found.check_counts().items()}
    if found.paired is not None:
        told |= {f"paired {v}": n for v, n in found.paired.counts().items()}
    return told
