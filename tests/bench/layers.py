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
from dataclasses import dataclass
from pathlib import Path

import click

from builder import layers
from builder.receipts import Assessment, LayerReceipt, Remedy
from hardpan import clock, events
from hardpan.process import run
from profiles.load import load
from profiles.model import Profile
from scanners.content.datastream import Source, find
from scanners.model import Evaluation
from scanners.pipeline import assess, exceptions
from tests.bench.compare import WORTH, Compared, compared
from tests.bench.playbook import Played, collections, generate, play
from tests.integration.lab_host import LabHost, Payload, lab_host, unpacked

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


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), default=_REPO / "images/cache")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the playbook's log there.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
def main(cache: Path, keep: Path | None, as_json: bool) -> None:
    """Time both, scan both, print who mended what; 1 when ours is not what it is to be."""
    profile = load("lab-stig").model_copy(update={"layers": ("stig",)})
    source = find(profile.stig.content, cache=cache, emit=events.silent)
    collections(cache)  # not a part of what is timed
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-") as name:
        folder = Path(name)
        payload = unpacked(_media(cache), folder)
        ours = _ours(profile, source, payload, folder / "ours", cache)
        played, theirs = _theirs(profile, source, payload, folder / "theirs", cache, keep)
    told = {o.rule_id: f"{o.outcome}: {o.detail}" for o in ours.receipt.outcomes}
    found = compared(ours.before, ours.after, theirs, excepted=exceptions(profile), told=told)
    if as_json:
        click.echo(json.dumps(_result(ours, played, found), indent=2))
    else:
        click.echo(_table(ours, played, found))
    raise SystemExit(0 if ours.apply_s <= WORTH * played.took_s and not found.unexcused else 1)


def _ours(profile: Profile, source: Source, payload: Payload, folder: Path, cache: Path) -> Ours:
    with lab_host(payload, folder, install=_packages(profile)) as host:
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
        (receipt,) = layers.apply(profile, host.guest, assessment, cache=cache, emit=events.silent)
        apply_s = clock.monotonic() - began
        _say(f"our layer: {apply_s:.0f} s; scanning again")
        after = _after(host, profile, source)
    return Ours(scan_s=scan_s, apply_s=apply_s, receipt=receipt, before=before, after=after)


def _theirs(
    profile: Profile, source: Source, payload: Payload, folder: Path, cache: Path, keep: Path | None
) -> tuple[Played, Evaluation]:
    playbook = folder.with_name("playbook.yml")
    tasks = generate(source.path, profile.stig.profile_id, playbook)
    skip = [e.rule_id.rpartition("_rule_")[2] for e in profile.stig.exceptions]
    room = keep or folder.with_name("play")
    with lab_host(payload, folder, install=_packages(profile)) as host:
        _say(f"playbook: {tasks} tasks")
        played = play(playbook, tasks, host.guest, skip=skip, cache=cache, folder=room)
        _say(f"playbook: {played.took_s:.0f} s; scanning")
        return played, _after(host, profile, source)


def _after(host: LabHost, profile: Profile, source: Source) -> Evaluation:
    return assess(host.target, profile, source, events.silent)[0]


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
            "mended": found.mended_by_playbook,
            "recap": played.counts,
        },
        "rules_failing_before": found.before,
        "ratio": round(ours.apply_s / played.took_s, 3),
        "ratio_with_scan": round((ours.apply_s + ours.scan_s) / played.took_s, 3),
        "left": [dataclasses.asdict(x) for x in found.left],
        "only_ours": found.only_ours,
        "broken": found.broken,
        "broken_by_playbook": found.broken_by_playbook,
    }


def _table(ours: Ours, played: Played, found: Compared) -> str:
    recap = ", ".join(f"{n} {name}" for name, n in played.counts.items() if n)
    whole = ours.apply_s + ours.scan_s
    rows = [
        ("our layer", ours.apply_s, found.mended),
        ("with its scan", whole, found.mended),
        ("the playbook", played.took_s, found.mended_by_playbook),
    ]
    lines = [f"{'':14}{'seconds':>10}{'ratio':>8}{'mended':>9} of {found.before}"]
    lines += [f"{a:14}{s:>10.1f}{s / played.took_s:>8.2f}{n:>9}" for a, s, n in rows]
    excepted = len(found.left) - len(found.unexcused)
    lines += [
        "",
        f"the playbook: {played.tasks} tasks; {recap}",
        f"mended by ours alone: {len(found.only_ours)}",
        f"passed before, fails after ours: {_names(found.broken)}",
        f"passed before, fails after the playbook: {_names(found.broken_by_playbook)}",
        f"mended by the playbook alone: {len(found.left)}, {excepted} of them excepted",
    ]
    lines += [
        f"  {x.rule} ({x.verdict}{', excepted' if x.excepted else ''}): {x.reason}"
        for x in found.left
    ]
    return "\n".join(lines)


def _names(rules: Sequence[str]) -> str:
    return ", ".join(rules) or "none"


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
