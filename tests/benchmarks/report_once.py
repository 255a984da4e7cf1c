"""From an ARF to a signed evidence file, as a scan does it once oscap has ended.

Host, checks, smoke test and FIPS state come from the unit tests' sample.
"""

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hardpan.core.import_memory import importing_modules
from hardpan.scanners.openscap.arf.process import read_arf
from hardpan.scanners.openscap.arf.results import Arf

_CHUNK = 1 << 18


def main(file: Path, prepared: Path, key: Path, out: Path) -> None:
    """Read ``file``, evaluate, render all formats of the evidence, sign, write ``out``."""
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read_arf, _chunks(file), name=file.name)
        # A scan imports these while oscap runs; here another process parses the ARF meanwhile.
        with importing_modules():  # as hardpan.cli does for a command
            from hardpan.core import clock, events
            from hardpan.scanners.evidence.sign import writer
            from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
            from hardpan.scanners.report.registry import import_renderers
            from hardpan.signing import load_signer
            from tests.unit.evidence import samples

            import_renderers()
        prepared_content = pickle.loads(prepared.read_bytes())  # noqa: S301 - by the bench itself
        arf, compressed = reading.result()
    if not isinstance(arf, Arf) or compressed is None:
        raise SystemExit(f"the ARF is not readable: {arf}")
    merged = merge_results(
        prepared_content,
        EvaluatedParts(arfs=(arf,)),
        engine="oscap",
        os_name="this machine",
        os_cpe="",
    )
    now = clock.format_rfc3339(clock.now())
    scan = samples.scan(
        evaluation=merged, raw={"arf-0.xml": compressed}, waivers={}, started=now, finished=now
    )
    writer.write_evidence(scan, load_signer(key), out, events.discard)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as f:
        while chunk := f.read(_CHUNK):
            yield chunk


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
