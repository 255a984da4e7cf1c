"""Limits of writing the unattended ISO, relative to copying the media and hashing it. Pure."""

from collections.abc import Mapping

from tests.benchmarks.limits import LimitResult, Measurement

HARDPAN = "hardpan: unattended ISO"
COPY = "cp; sync; implantisomd5; sha256sum"
PROGRAMS = (HARDPAN, COPY)

MAX_TIME_RATIO = 1.3
MAX_PEAK_MIB = 100.0


def evaluate_iso_limits(measurements: Mapping[str, Measurement]) -> tuple[LimitResult, ...]:
    """Evaluate both limits with the figures of each program."""
    hardpan, copy = (measurements[name] for name in PROGRAMS)
    return (
        LimitResult(
            name="time, of copy and digests",
            measured=hardpan.wall_s / copy.wall_s,
            maximum=MAX_TIME_RATIO,
            measured_cpu=hardpan.cpu_s / copy.cpu_s,
        ),
        LimitResult(name="peak MiB", measured=hardpan.peak_mib, maximum=MAX_PEAK_MIB),
    )


def format_iso_table(
    measurements: Mapping[str, Measurement], *, rounds: int, size_bytes: int
) -> str:
    """Format measurements and limits as text."""
    lines = [f"ISO of {size_bytes / 1e9:.2f} GB, medians of {rounds} alternating rounds", ""]
    lines.append(f"{'':36}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}")
    lines += [
        f"{name:36}{t.wall_s:>9.2f}{t.cpu_s:>8.2f}{t.peak_mib:>10.0f}"
        for name, t in measurements.items()
    ]
    lines += ["", f"{'':36}{'found':>9}{'by CPU':>8}{'at most':>10}"]
    for limit in evaluate_iso_limits(measurements):
        by_cpu = "" if limit.measured_cpu is None else f"{limit.measured_cpu:.3f}"
        verdict = "PASS" if limit.is_met else "MISS"
        lines.append(
            f"{limit.name:36}{limit.measured:>9.3f}{by_cpu:>8}{limit.maximum:>10.3f}  {verdict}"
        )
    return "\n".join(lines)
