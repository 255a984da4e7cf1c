"""``make bench-layers``: our STIG layer against the playbook of ``oscap generate fix``.

Each of the two gets a fresh lab host: the lab's own systemd, sshd and packages in
namespaces, at this machine's speed. Both leave out the rules that the profile excepts.
Afterwards both hosts are scanned alike.
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import click

from hardpan import clock, events
from hardpan.builder.layers import registry as layers
from hardpan.builder.receipts import Assessment, LayerReceipt, Remedy
from hardpan.process import run
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.scanners.content.datastream import Source, find
from hardpan.scanners.model import Evaluation
from hardpan.scanners.pipeline import assess, waivers
from tests.bench.compare import WORTH, Compared, compared
from tests.bench.playbook import LIMIT_S, Played, collections, generate, play
from tests.integration.lab_host import LabHost, Payload, lab_host, unpack

_REPO = Path(__file__).parents[2]
_BIG = ("python3-torch", "python3-numpy", "python3-safetensors")
"""Left out of the host: no rule looks at them, and they take a minute to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our layer on its host."""

    scan_s: float
    """The scan that tells what fails; the playbook does not look, it does everything."""

    apply_s: float
    receipt: LayerReceipt
    before: Evaluation
    after: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What both need."""

    profile: Profile
    source: Source
    payload: Payload
    folder: Path
    cache: Path


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), default=_REPO / "images/cache")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the playbook's logs there.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
@click.option(
    "--quick",
    type=int,
    metavar="SECONDS",
    help="End the playbook after SECONDS; on another host, play only what ours left failing.",
)
def main(cache: Path, keep: Path | None, as_json: bool, quick: int | None) -> None:
    """Time both, scan both, print who mended what; 1 when ours is not what it is to be."""
    profile = load("lab-stig").model_copy(update={"layers": ("stig",)})
    source = find(profile.stig.content)
    collections(cache)  # not a part of what is timed
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-") as name:
        folder = Path(name)
        unpack(_media(cache), folder)
        payload = Payload.unpacked_in(folder)
        bench = Bench(profile=profile, source=source, payload=payload, folder=folder, cache=cache)
        ours = _ours(bench)
        played, found = _theirs(bench, ours, keep or folder / "logs", quick or LIMIT_S)
    if as_json:
        click.echo(json.dumps(_result(ours, played, found), indent=2))
    else:
        click.echo(_table(ours, played, found))
    raise SystemExit(0 if ours.apply_s <= WORTH * played.took_s and not found.unwaived else 1)


def _ours(bench: Bench) -> Ours:
    profile, source = bench.profile, bench.source
    with _fresh(bench, "ours") as host:
        _say("our layer: scan")
        began = clock.monotonic()
        before, fixes = assess(host.target, profile, source, events.silent)
        scan_s = clock.monotonic() - began
        assessment = Assessment(
            content_sha256=source.sha256,
            counts=before.counts(),
            remedies=tuple(
                Remedy(rule_id=f.rule_id, severity=f.severity, script=f.script) for f in fixes
            ),
        )
        _say(f"our layer: {len(fixes)} rules fail, mending")
        began = clock.monotonic()
        (receipt,) = layers.apply(
            profile, host.guest, assessment, cache=bench.cache, emit=events.silent
        )
        apply_s = clock.monotonic() - began
        _say(f"our layer: {apply_s:.0f} s; scanning again")
        after = _after(host, bench)
    return Ours(scan_s=scan_s, apply_s=apply_s, receipt=receipt, before=before, after=after)


def _theirs(bench: Bench, ours: Ours, logs: Path, limit_s: int) -> tuple[Played, Compared]:
    logs.mkdir(parents=True)
    playbook = logs / "playbook.yml"
    tasks = generate(bench.source.path, bench.profile.stig.profile_id, playbook)
    _say(f"playbook: {tasks} tasks, for at most {limit_s} s")
    with _fresh(bench, "theirs") as host:
        played = _played(bench, host, playbook, tasks, logs / "whole", limit_s=limit_s)
        _say(f"playbook: {played.took_s:.0f} s, {played.begun} tasks were begun")
        if played.ended:
            return played, _compared(bench, ours, _after(host, bench))
    left = _compared(bench, ours, ours.after).still_bad
    _say(f"playbook: only the {len(left)} rules that ours left failing")
    with _fresh(bench, "left") as host:
        if left:
            _played(bench, host, playbook, tasks, logs / "left", only=left)
        return played, _compared(bench, ours, _after(host, bench))


def _played(
    bench: Bench,
    host: LabHost,
    playbook: Path,
    tasks: int,
    folder: Path,
    *,
    only: Sequence[str] = (),
    limit_s: int = LIMIT_S,
) -> Played:
    skip = [w.rule for w in bench.profile.stig.waivers]
    return play(
        playbook,
        host.guest,
        tasks=tasks,
        skip=skip,
        only=only,
        limit_s=limit_s,
        cache=bench.cache,
        folder=folder,
    )


def _fresh(bench: Bench, name: str) -> AbstractContextManager[LabHost]:
    return lab_host(bench.payload, bench.folder / name, install=_packages(bench.profile))


def _compared(bench: Bench, ours: Ours, theirs: Evaluation) -> Compared:
    told = {o.rule_id: f"{o.outcome}: {o.detail}" for o in ours.receipt.outcomes}
    rules = (r.rule_id for r in theirs.results)
    waived = {r: w.reason for r, w in waivers(bench.profile, rules).items() if w.holds}
    return compared(ours.before, ours.after, theirs, waived=waived, told=told)


def _after(host: LabHost, bench: Bench) -> Evaluation:
    # Both as they are after a start: our layer writes settings for the start that follows it in
    # every build, the playbook writes and sets them.
    host.run("systemctl restart systemd-sysctl", ok=(0, 1))
    return assess(host.target, bench.profile, bench.source, events.silent)[0]


def _packages(profile: Profile) -> tuple[str, ...]:
    return tuple(p for p in profile.install if not p.startswith("@") and p not in _BIG)


def _media(cache: Path) -> Path:
    argv: list[str | Path] = [sys.executable, "-m", "images.lab.build", "--cache", cache, "--json"]
    return Path(json.loads(run(argv, timeout_s=1200, cwd=_REPO).stdout)["iso"])


def _result(ours: Ours, played: Played, found: Compared) -> dict[str, object]:
    return {
        "ours": {
            "apply_s": round(ours.apply_s, 1),
            "scan_s": round(ours.scan_s, 1),
            "mended": found.mended,
        },
        "playbook": {
            "apply_s": round(played.took_s, 1),
            "tasks": played.tasks,
            "begun": played.begun,
            "ended": played.ended,
            "mended": found.mended_by_playbook if played.ended else None,
            "recap": played.counts,
        },
        "rules_failing_before": found.before,
        "ratio": round(ours.apply_s / played.took_s, 3),
        "ratio_with_scan": round((ours.apply_s + ours.scan_s) / played.took_s, 3),
        "left": [dataclasses.asdict(x) for x in found.left],
        "still_failing": found.still_bad,
        "broken": found.broken,
        "only_ours": found.only_ours if played.ended else None,
        "broken_by_playbook": found.broken_by_playbook if played.ended else None,
    }


def _table(ours: Ours, played: Played, found: Compared) -> str:
    theirs = str(found.mended_by_playbook) if played.ended else "not known"
    rows = [
        ("our layer", ours.apply_s, str(found.mended)),
        ("with its scan", ours.apply_s + ours.scan_s, str(found.mended)),
        ("the playbook", played.took_s, theirs),
    ]
    lines = [f"{'':14}{'seconds':>10}{'ratio':>8}{'mended':>11} of {found.before}"]
    lines += [f"{a:14}{s:>10.1f}{s / played.took_s:>8.3f}{n:>11}" for a, s, n in rows]
    if not played.ended:
        lines.append("The playbook was ended by the time limit: it needs more than that.")
    recap = ", ".join(f"{n} {name}" for name, n in played.counts.items() if n)
    waived = len(found.left) - len(found.unwaived)
    lines += [
        "",
        f"the playbook: {played.tasks} tasks, {played.begun} begun; {recap or 'no recap'}",
        f"still failing after ours, not waived: {_names(found.still_bad)}",
        f"passed before, fails after ours: {_names(found.broken)}",
    ]
    if played.ended:
        lines += [
            f"passed before, fails after the playbook: {_names(found.broken_by_playbook)}",
            f"mended by ours alone: {len(found.only_ours)}",
        ]
    lines.append(f"mended by the playbook alone: {len(found.left)}, {waived} of them waived")
    lines += [
        f"  {x.rule} ({x.verdict}{', waived' if x.waived else ''}): {x.reason}" for x in found.left
    ]
    return "\n".join(lines)


def _names(rules: Sequence[str]) -> str:
    return ", ".join(rules) or "none"


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
