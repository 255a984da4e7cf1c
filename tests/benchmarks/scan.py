"""``make bench-scan``: a complete, signed scan of a host against ``oscap-ssh``.

Both evaluate the same content on the same host over a real sshd, in turns; hardpan also with
``--engine sce``. oscap-ssh gets the options with which its users call it: ARF, XCCDF results and
the HTML report.
"""

import dataclasses
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from lxml import etree

from hardpan.core import clock
from hardpan.core.process import run
from hardpan.scanners.content.benchmark import expand_profile_id
from hardpan.scanners.content.datastream import find
from hardpan.scanners.content.scap_xml import XCCDF, create_parser, parse_data_stream, serialize
from tests.benchmarks.full_arf import remove_platforms
from tests.benchmarks.limits import LimitResult
from tests.benchmarks.scan_host import (
    HOST,
    MIN_FILES,
    count_files,
    relay_connections,
    watch_memory,
)
from tests.benchmarks.scan_limits import (
    HARDPAN,
    HARDPAN_SCE,
    OSCAP_SSH,
    ScanMeasurement,
    compute_medians,
    evaluate_limits,
    find_different,
    format_table,
    has_decided,
)
from tests.integration.overlay_host import OverlayHost, overlay_host

_LIMIT_S = 3600
_SEARCHING_RULE = "_rule_file_permissions_ungroupowned"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """The host and the folder that every run uses."""

    host: OverlayHost
    folder: Path
    content: Path

    def measure(self, name: str, number: int) -> tuple[ScanMeasurement, dict[str, str]]:
        """Run one program; return what it cost, and rule -> verdict."""
        folder = self.folder / f"run-{number}"
        folder.mkdir()
        with relay_connections(self.host.port) as traffic, watch_memory(self.host) as memory:
            start = clock.monotonic_s()
            verdicts = self._run(name, folder, traffic.port)
            wall_s = clock.monotonic_s() - start
        measurement = ScanMeasurement(
            wall_s=wall_s, moved_mib=traffic.byte_count / (1 << 20), peak_mib=memory.peak_mib
        )
        return measurement, verdicts

    def _run(self, name: str, folder: Path, port: int) -> dict[str, str]:
        key = " ".join((self.host.folder / "host.pub").read_text().split()[:2])
        identity = self.host.folder / "user"
        if name == OSCAP_SSH:
            (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
            options = f"-F none -i {identity} -o UserKnownHostsFile={folder}/known_hosts"
            argv: list[str | Path] = ["oscap-ssh", "root@127.0.0.1", str(port), "xccdf", "eval"]
            argv += ["--profile", expand_profile_id("stig"), "--results", folder / "results.xml"]
            argv += ["--results-arf", folder / "arf.xml", "--report", folder / "report.html"]
            environment = os.environ | {"SSH_ADDITIONAL_OPTIONS": options}
            run([*argv, self.content], timeout_s=_LIMIT_S, ok=(0, 2), env=environment)
            return _read_results(folder / "results.xml")
        evidence = folder / "scan.evidence.zip"
        argv = [sys.executable, "-m", *name.split(), f"root@127.0.0.1:{port}", "--quiet"]
        argv += ["--profile", "stig", "--content", self.content, "--no-smoke", "-o", evidence]
        argv += ["--identity", identity, "--host-key", key, "--ssh-config", "none"]
        argv += ["--known-hosts", "/dev/null"]
        homes = {f"XDG_{n}_HOME": str(folder / n.lower()) for n in ("CACHE", "DATA", "STATE")}
        run(argv, timeout_s=_LIMIT_S, ok=(0, 1), env=os.environ | homes)
        with zipfile.ZipFile(evidence) as archive:
            rules = json.loads(archive.read("findings.json"))["rules"]
        engines = {r["engine"] for r in rules if r["ruleId"].endswith(_SEARCHING_RULE)}
        if engines != {"SCE" if name == HARDPAN_SCE else "OVAL"}:
            raise click.ClickException(f"{name}: {_SEARCHING_RULE}: got engine {engines}")
        return {r["ruleId"]: r["verdict"] for r in rules}


def _read_results(path: Path) -> dict[str, str]:
    *_, result = etree.parse(path, create_parser()).iter(XCCDF + "TestResult")
    verdicts = {
        r.get("idref", ""): r.findtext(XCCDF + "result", "")
        for r in result.iterchildren(XCCDF + "rule-result")
    }
    return {rule_id: verdict for rule_id, verdict in verdicts.items() if verdict != "notselected"}


@click.command()
@click.option("--pairs", type=click.IntRange(1), default=5, help="How often each program runs.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
def main(pairs: int, as_json: bool) -> None:
    """Time the scans, print medians; 1 when a limit is missed or a verdict differs."""
    source = find("rhel9")
    root = parse_data_stream(source.data, source.name)
    remove_platforms(root)
    runs: dict[str, list[ScanMeasurement]] = {HARDPAN: [], HARDPAN_SCE: [], OSCAP_SSH: []}
    verdicts: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-") as name:
        folder = Path(name)
        content = folder / source.name
        content.write_bytes(serialize(root))
        with overlay_host(folder / "host", HOST) as host:
            file_count = count_files(host)
            bench = _Bench(host=host, folder=folder, content=content)
            for _ in range(pairs):
                for program, measurements in runs.items():
                    measurement, verdict_by_rule = bench.measure(program, len(verdicts))
                    measurements.append(measurement)
                    verdicts.append(verdict_by_rule)
                    click.echo(f"{program}: {dataclasses.asdict(measurement)}", err=True)
    medians = {program: compute_medians(measurements) for program, measurements in runs.items()}
    limits = evaluate_limits(medians)
    different = find_different(verdicts)
    problems = [f"different verdict: {line}" for line in different]
    if file_count < MIN_FILES:
        problems.append(f"expected at least {MIN_FILES} files, got {file_count}")
    if not all(map(has_decided, verdicts)):
        problems.append("too few rules pass or fail")
    if as_json:
        click.echo(json.dumps(_to_json(runs, medians, limits, problems, file_count), indent=2))
    else:
        click.echo(format_table(medians, limits, pairs=pairs, file_count=file_count))
        equal_count = len(set().union(*verdicts)) - len(different)
        click.echo(f"{equal_count} of {len(set().union(*verdicts))} verdicts equal")
        for problem in problems:
            click.echo(problem)
    raise SystemExit(0 if all(x.is_met for x in limits) and not problems else 1)


def _to_json(
    runs: Mapping[str, Sequence[ScanMeasurement]],
    medians: Mapping[str, ScanMeasurement],
    limits: Sequence[LimitResult],
    problems: Sequence[str],
    file_count: int,
) -> dict[str, object]:
    return {
        "files": file_count,
        "medians": {name: dataclasses.asdict(m) for name, m in medians.items()},
        "runs": {name: [dataclasses.asdict(m) for m in runs[name]] for name in runs},
        "limits": [{**dataclasses.asdict(x), "holds": x.is_met} for x in limits],
        "problems": list(problems),
    }


if __name__ == "__main__":
    main()
