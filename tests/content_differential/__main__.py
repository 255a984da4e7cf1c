"""Compare hardpan's content with plain oscap on generated benchmarks.

.venv/bin/python -m tests.content_differential [--count N] [--seed N]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.content_differential.compare import check_case
from tests.content_differential.strategy import cases
from tests.fuzz.run import run_target
from tests.fuzz.target import FuzzTarget


def main() -> int:
    """Run the comparison and print how many cases had which outcome."""
    parser = argparse.ArgumentParser(prog="tests.content_differential", description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hardpan-content-") as name:
        folder = Path(name)
        target = FuzzTarget(
            name="content",
            inputs=cases(),
            check=lambda case: check_case(case, folder),
            max_input_s=1200,
        )
        report = run_target(target, arguments.count, arguments.seed)
    sys.stdout.write(f"{report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
