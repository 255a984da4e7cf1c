"""Compare hardpan's content with plain oscap: every profile of the shipped data streams.

.venv/bin/python -m tests.content_differential.upstream [--root FOLDER] [PRODUCT…]

Platforms are removed on both sides: else most rules of another system are not applicable. With
``--root`` oscap collects from a folder; without it, from this machine, where the rules that walk
all file systems take minutes in each profile.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hardpan.core.files import sha256_bytes
from hardpan.scanners.content import datastream, store
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.content.scap_xml import XCCDF, find_benchmark, parse_data_stream
from hardpan.scanners.model.scan import ContentOrigin
from tests.content_differential.compare import compare_resolution, merge_parts, require_decided
from tests.content_differential.oscap_run import EVALUATED, evaluate

_PLATFORM = re.compile(rb'<(?:[\w.-]+:)?platform idref="[^"]*"\s*/>')
_TIMEOUT_S = 3600
_MAX_LINES = 20


def compare_profile(
    source: datastream.ContentSource, profile_id: str, folder: Path, root: Path | None
) -> Counter[str]:
    """Return the number of each result, which are the same on both sides.

    Raises:
        AssertionError: hardpan and oscap differ, or too few rules pass or fail.
    """
    plain = evaluate(source.data, profile_id, folder, timeout_s=_TIMEOUT_S, root=root)
    assert plain.exit_status in EVALUATED, f"not compared, plain {plain.message}"
    require_decided(plain.rules)
    prepared = prepare(source, profile_id)
    compare_resolution(plain, prepared)
    merged = merge_parts(prepared.parts, profile_id, folder, timeout_s=_TIMEOUT_S, root=root)
    require_decided(merged)
    different = [r for r in plain.rules if merged.get(r) != plain.rules[r]]
    details = [f"{r}: {plain.rules[r]}, {merged.get(r)}" for r in different[:_MAX_LINES]]
    assert not different, "\n".join(details)
    return Counter(outcomes[0][0] for outcomes in plain.rules.values())


def main() -> int:
    """Compare each profile and print a line for it; exit code 1 if one differs."""
    parser = argparse.ArgumentParser(prog="tests.content_differential.upstream")
    parser.add_argument("products", nargs="*", default=_list_shipped(), metavar="PRODUCT")
    parser.add_argument("--root", type=Path, help="folder that takes the place of /")
    arguments = parser.parse_args()
    differing = 0
    with tempfile.TemporaryDirectory(prefix="hardpan-content-") as name:
        for product in arguments.products:
            differing += _compare_product(product, Path(name), arguments.root)
    return 1 if differing else 0


def _list_shipped() -> list[str]:
    manifest = store.read_manifest(store.shipped_folder())
    return [] if manifest is None else list(manifest.streams)


def _compare_product(product: str, folder: Path, root: Path | None) -> int:
    """Return how many profiles differ."""
    source = datastream.find(product, ContentOrigin.SHIPPED)
    data = _PLATFORM.sub(b"", source.data)
    source = replace(source, data=data, sha256=sha256_bytes(data))
    bench = find_benchmark(parse_data_stream(data, source.name), source.name)
    differing = 0
    for profile in bench.findall(XCCDF + "Profile"):
        profile_id = profile.get("id", "")
        start_s = time.monotonic()
        try:
            text = ", ".join(
                f"{count} {result}"
                for result, count in sorted(
                    compare_profile(source, profile_id, folder, root).items()
                )
            )
        except AssertionError as error:
            differing += 1
            text = f"DIFFERENT: {error}"
        line = f"{product:10} {profile_id.rpartition('_profile_')[2]:32} {text}"
        sys.stdout.write(f"{line} ({time.monotonic() - start_s:.0f} s)\n")
        sys.stdout.flush()
    return differing


if __name__ == "__main__":
    sys.exit(main())
