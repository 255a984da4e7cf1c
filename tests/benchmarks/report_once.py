"""From an ARF to a signed evidence file, as a scan does it once oscap has ended.

Host, checks, smoke test and FIPS state come from the unit tests' sample.
"""

import gc
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

from hardpan.core import clock, events
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.openscap.arf import results
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from hardpan.signing import load_signer
from tests.unit.evidence import samples

_CHUNK = 1 << 20


def main(file: Path, prepared: Path, key: Path, out: Path) -> None:
    """Read ``file``, evaluate, render all formats of the evidence, sign, write ``out``."""
    gc.freeze()  # as hardpan.cli does after importing a command
    arf_report, compressed = results.parse_and_compress(_chunks(file), name=file.name)
    prepared_content = pickle.loads(prepared.read_bytes())  # noqa: S301 - the bench itself wrote it
    merged = merge_results(
        prepared_content,
        EvaluatedParts(arfs=(arf_report,)),
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
