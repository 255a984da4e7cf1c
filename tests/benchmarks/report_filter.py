"""Measure the filter of report.html in headless Chromium: ``make bench-filter``.

Prints for each CPU throttling the time from a key to the frame after it, and the CPU time of the
page's main thread for the key, in milliseconds. Exits with 1 if the 95th percentile of the latter
without throttling is above 100 ms: other load on the machine lengthens only the former.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from hardpan.scanners.report.registry import Report, load_renderer
from tests.integration.browser import Browser, start_browser
from tests.tools import report_sample

MAX_P95_MS = 100.0
_KEYS = ("auditd", "ssh root", "RHEL-09-2", "the", "files owner", "xz")
_MEASURE = """
(async () => {
  const field = document.getElementById("q"), durations = [];
  for (const text of TEXTS) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
    const start = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input"));
    // The message arrives after the frame was laid out and painted.
    await new Promise((done) => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(0);
    }));
    durations.push(performance.now() - start);
  }
  return durations;
})()
"""


def build_report(rule_count: int) -> Report:
    """The sample with its rules repeated under other ids."""
    sample = report_sample.load_sample()
    rules = sample.findings.rules
    repeated = tuple(
        rules[n % len(rules)].model_copy(
            update={"rule_id": f"{rules[n % len(rules)].rule_id}_{n // len(rules)}"}
        )
        for n in range(rule_count)
    )
    return replace(sample, findings=sample.findings.model_copy(update={"rules": repeated}))


def measure(page: Browser, url: str, *, throttle: int) -> tuple[list[float], list[float]]:
    """Type and delete each word; milliseconds to the next frame and of CPU time, for each key."""
    page.call("Performance.disable")
    page.call("Performance.setTimeDomain", timeDomain="threadTicks")
    page.call("Performance.enable", timeDomain="threadTicks")
    page.call("Emulation.setCPUThrottlingRate", rate=throttle)
    page.resize(1280, 900)
    page.call("Page.navigate", url="about:blank")
    page.open_url(url)
    page.evaluate("new Promise((done) => setTimeout(done, 1000))")  # texts are gathered when idle
    durations_ms: list[float] = []
    cpu_times_ms: list[float] = []
    for word in _KEYS:
        prefixes = [word[:n] for n in range(1, len(word) + 1)]
        for text in (*prefixes, *reversed(prefixes[:-1]), ""):
            start_ms = _cpu_time_ms(page)
            durations_ms += page.evaluate(_MEASURE.replace("TEXTS", json.dumps([text])))
            cpu_times_ms.append(_cpu_time_ms(page) - start_ms)
    return durations_ms, cpu_times_ms


def _cpu_time_ms(page: Browser) -> float:
    metrics = page.call("Performance.getMetrics")["metrics"]
    return float(1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def _format(values_ms: list[float]) -> str:
    p95 = statistics.quantiles(values_ms, n=20)[-1]
    return f"median {statistics.median(values_ms):.0f}, p95 {p95:.0f}, max {max(values_ms):.0f} ms"


def main() -> int:
    """Render the report, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=1500)
    parser.add_argument("--throttle", type=int, nargs="*", default=[1, 4])
    options = parser.parse_args()
    is_slow = False
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "report.html"
        file.write_bytes(load_renderer("html").render(build_report(options.rules)))
        with start_browser(Path(name) / "chromium") as page:
            for throttle in options.throttle:
                durations_ms, cpu_times_ms = measure(page, file.as_uri(), throttle=throttle)
                sys.stdout.write(
                    f"{options.rules} rules, CPU throttled {throttle}x, {len(durations_ms)} keys: "
                    f"to the next frame {_format(durations_ms)}; CPU time {_format(cpu_times_ms)}\n"
                )
                if throttle == 1:
                    is_slow = statistics.quantiles(cpu_times_ms, n=20)[-1] > MAX_P95_MS
    return int(is_slow)


if __name__ == "__main__":
    raise SystemExit(main())
