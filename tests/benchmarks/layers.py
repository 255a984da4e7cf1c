"""``make bench-layers``: compare the STIG layer with the playbook of ``oscap generate fix``.

Each of the two gets a fresh lab host: the lab's own systemd, sshd and packages in
namespaces, at this machine's speed. Both skip the rules that the profile waives.
Afterwards both hosts are scanned in the same way.
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

from hardpan.builder.artifacts import Assessment, LayerResult
from hardpan.builder.layers import registry as layers
from hardpan.core import clock, events
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.waiver_file import locate_profile_waivers
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.collect.plan import plan_profile
from hardpan.scanners.content.datastream import ContentSource, find
from hardpan.scanners.deviations.waivers import assign_waivers
from hardpan.scanners.model.scan import Evaluation
from hardpan.scanners.pipeline import assess
from hardpan.ssh.transports import CONNECT_TIMEOUT_S, open_connection
from tests.benchmarks.compare import MAX_TIME_RATIO, Comparison, compare
from tests.benchmarks.playbook import (
    TIMEOUT_S,
    PlaybookRun,
    generate_playbook,
    install_collections,
    run_playbook,
)
from tests.integration.lab_host import LabHost, Payload, lab_host, unpack_payload

_REPO = Path(__file__).parents[2]
_SKIPPED_PACKAGES = ("python3-torch", "python3-numpy", "python3-safetensors")
"""Left out of the host: no rule looks at them, and they take a minute to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRun:
    """One run of the STIG layer on its host."""

    scan_s: float
    """Duration of the scan for failing rules; the playbook runs without a scan."""

    apply_s: float
    receipt: LayerResult
    before: Evaluation
    after: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSetup:
    """Inputs of both runs."""

    profile: Profile
    source: ContentSource
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
    help="End the playbook after SECONDS; on another host, run only rules that still fail.",
)
def main(cache: Path, keep: Path | None, as_json: bool, quick: int | None) -> None:
    """Time and scan both, print the comparison; 1 if the layer misses its limits."""
    profile = load_profile("lab-stig").model_copy(update={"layers": ("stig",)})
    source = find(profile.stig.content)
    install_collections(cache)  # not a part of what is timed
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-") as name:
        folder = Path(name)
        unpack_payload(_build_media(cache), folder)
        payload = Payload.unpacked_in(folder)
        setup = BenchmarkSetup(
            profile=profile, source=source, payload=payload, folder=folder, cache=cache
        )
        layer_run = _run_layer(setup)
        playbook_run, comparison = _run_playbook(
            setup, layer_run, keep or folder / "logs", quick or TIMEOUT_S
        )
    if as_json:
        click.echo(json.dumps(_to_json(layer_run, playbook_run, comparison), indent=2))
    else:
        click.echo(_format_table(layer_run, playbook_run, comparison))
    raise SystemExit(
        0
        if layer_run.apply_s <= MAX_TIME_RATIO * playbook_run.duration_s and not comparison.unwaived
        else 1
    )


def _run_layer(setup: BenchmarkSetup) -> LayerRun:
    profile, source = setup.profile, setup.source
    with _fresh_host(setup, "layer") as host:
        _print_progress("layer: scan")
        start = clock.monotonic_s()
        with open_connection(host.target, timeout_s=CONNECT_TIMEOUT_S) as connection:
            before, fixes = assess(connection, plan_profile(profile), source, events.discard)
        scan_s = clock.monotonic_s() - start
        assessment = Assessment(
            content_sha256=source.sha256,
            counts=before.counts(),
            fixes=fixes,
        )
        _print_progress(f"layer: {len(fixes)} rules fail, remediating")
        start = clock.monotonic_s()
        (receipt,) = layers.apply_layers(
            profile, host.guest, assessment, cache=setup.cache, emit=events.discard
        )
        apply_s = clock.monotonic_s() - start
        _print_progress(f"layer: {apply_s:.0f} s; scanning again")
        after = _scan_after_restart(host, setup)
    return LayerRun(scan_s=scan_s, apply_s=apply_s, receipt=receipt, before=before, after=after)


def _run_playbook(
    setup: BenchmarkSetup, layer_run: LayerRun, logs: Path, timeout_s: int
) -> tuple[PlaybookRun, Comparison]:
    logs.mkdir(parents=True)
    playbook = logs / "playbook.yml"
    data_stream = logs / setup.source.name
    data_stream.write_bytes(setup.source.data)
    tasks = generate_playbook(data_stream, setup.profile.stig.profile_id, playbook)
    skip = [shorten_id(r) for r in _find_waived_rules(setup.profile, layer_run.before)]
    _print_progress(f"playbook: {tasks} tasks, for at most {timeout_s} s")
    with _fresh_host(setup, "playbook") as host:
        playbook_run = _play(
            setup, host, playbook, tasks, logs / "whole", skip=skip, timeout_s=timeout_s
        )
        _print_progress(
            f"playbook: {playbook_run.duration_s:.0f} s, {playbook_run.started_tasks} tasks started"
        )
        if playbook_run.is_complete:
            return playbook_run, _compare(setup, layer_run, _scan_after_restart(host, setup))
    failing_rules = _compare(setup, layer_run, layer_run.after).still_failing
    _print_progress(
        f"playbook: only the {len(failing_rules)} rules that still fail after the layer"
    )
    with _fresh_host(setup, "remaining") as host:
        if failing_rules:
            folder = logs / "left"
            _play(setup, host, playbook, tasks, folder, skip=skip, only=failing_rules)
        return playbook_run, _compare(setup, layer_run, _scan_after_restart(host, setup))


def _play(
    setup: BenchmarkSetup,
    host: LabHost,
    playbook: Path,
    tasks: int,
    folder: Path,
    *,
    skip: Sequence[str],
    only: Sequence[str] = (),
    timeout_s: int = TIMEOUT_S,
) -> PlaybookRun:
    return run_playbook(
        playbook,
        host.guest,
        tasks=tasks,
        skip=skip,
        only=only,
        timeout_s=timeout_s,
        cache=setup.cache,
        folder=folder,
    )


def _fresh_host(setup: BenchmarkSetup, name: str) -> AbstractContextManager[LabHost]:
    return lab_host(setup.payload, setup.folder / name, install=_packages_to_install(setup.profile))


def _compare(setup: BenchmarkSetup, layer_run: LayerRun, after_playbook: Evaluation) -> Comparison:
    reasons = {o.rule_id: f"{o.outcome}: {o.detail}" for o in layer_run.receipt.outcomes}
    return compare(
        layer_run.before,
        layer_run.after,
        after_playbook,
        waived=_find_waived_rules(setup.profile, after_playbook),
        reasons=reasons,
    )


def _find_waived_rules(profile: Profile, evaluation: Evaluation) -> dict[str, str]:
    """Return rule id -> reason of its active waiver."""
    waivers = locate_profile_waivers(profile, None)
    assignment = assign_waivers(waivers, evaluation.results, clock.now().date())
    return {r: w.reason for r, w in assignment.waiver_by_rule.items() if w.is_active}


def _scan_after_restart(host: LabHost, setup: BenchmarkSetup) -> Evaluation:
    # Both as after a restart: the layer only writes settings, since every build restarts the
    # machine; the playbook writes and applies them.
    host.run("systemctl restart systemd-sysctl", ok=(0, 1))
    with open_connection(host.target, timeout_s=CONNECT_TIMEOUT_S) as connection:
        return assess(connection, plan_profile(setup.profile), setup.source, events.discard)[0]


def _packages_to_install(profile: Profile) -> tuple[str, ...]:
    return tuple(
        p for p in profile.install_packages if not p.startswith("@") and p not in _SKIPPED_PACKAGES
    )


def _build_media(cache: Path) -> Path:
    argv: list[str | Path] = [sys.executable, "-m", "images.lab.build", "--cache", cache, "--json"]
    return Path(json.loads(run(argv, timeout_s=1200, cwd=_REPO).stdout)["iso"])


def _to_json(
    layer_run: LayerRun, playbook_run: PlaybookRun, comparison: Comparison
) -> dict[str, object]:
    return {
        "layer": {
            "apply_s": round(layer_run.apply_s, 1),
            "scan_s": round(layer_run.scan_s, 1),
            "remediated": comparison.remediated,
        },
        "playbook": {
            "apply_s": round(playbook_run.duration_s, 1),
            "tasks": playbook_run.tasks,
            "begun": playbook_run.started_tasks,
            "ended": playbook_run.is_complete,
            "remediated": comparison.remediated_by_playbook if playbook_run.is_complete else None,
            "recap": playbook_run.counts,
        },
        "rules_failing_before": comparison.failing_before,
        "ratio": round(layer_run.apply_s / playbook_run.duration_s, 3),
        "ratio_with_scan": round(
            (layer_run.apply_s + layer_run.scan_s) / playbook_run.duration_s, 3
        ),
        "left": [dataclasses.asdict(x) for x in comparison.unremediated],
        "still_failing": comparison.still_failing,
        "broken": comparison.broken_by_layer,
        "only_by_layer": comparison.only_by_layer if playbook_run.is_complete else None,
        "broken_by_playbook": comparison.broken_by_playbook if playbook_run.is_complete else None,
    }


def _format_table(layer_run: LayerRun, playbook_run: PlaybookRun, comparison: Comparison) -> str:
    playbook_count = (
        str(comparison.remediated_by_playbook) if playbook_run.is_complete else "not known"
    )
    rows = [
        ("STIG layer", layer_run.apply_s, str(comparison.remediated)),
        ("with its scan", layer_run.apply_s + layer_run.scan_s, str(comparison.remediated)),
        ("playbook", playbook_run.duration_s, playbook_count),
    ]
    lines = [f"{'':14}{'seconds':>10}{'ratio':>8}{'remediated':>11} of {comparison.failing_before}"]
    lines += [f"{a:14}{s:>10.1f}{s / playbook_run.duration_s:>8.3f}{n:>11}" for a, s, n in rows]
    if not playbook_run.is_complete:
        lines.append("The playbook was ended by the time limit: it needs more than that.")
    recap = ", ".join(f"{n} {name}" for name, n in playbook_run.counts.items() if n)
    waived = len(comparison.unremediated) - len(comparison.unwaived)
    lines += [
        "",
        (
            f"playbook: {playbook_run.tasks} tasks, {playbook_run.started_tasks} started; "
            f"{recap or 'no recap'}"
        ),
        f"still failing after the layer, not waived: {_join_names(comparison.still_failing)}",
        f"passed before, fails after the layer: {_join_names(comparison.broken_by_layer)}",
    ]
    if playbook_run.is_complete:
        lines += [
            (
                "passed before, fails after the playbook: "
                f"{_join_names(comparison.broken_by_playbook)}"
            ),
            f"remediated only by the layer: {len(comparison.only_by_layer)}",
        ]
    lines.append(
        f"remediated only by the playbook: {len(comparison.unremediated)}, {waived} of them waived"
    )
    lines += [
        f"  {x.rule} ({x.verdict}{', waived' if x.waived else ''}): {x.reason}"
        for x in comparison.unremediated
    ]
    return "\n".join(lines)


def _join_names(rules: Sequence[str]) -> str:
    return ", ".join(rules) or "none"


def _print_progress(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
