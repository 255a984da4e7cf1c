"""Fuzz the readers of hostile input.

.venv/bin/python -m tests.fuzz [--count N] [--seed N] [TARGET…]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.registry import NAMES, load_target
from tests.fuzz.run import run_target


def main() -> int:
    """Run the targets one after the other and print a line for each."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*NAMES, []], metavar="TARGET")
    parser.add_argument("--count", type=int, default=10_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.targets or NAMES:
        with tempfile.TemporaryDirectory(prefix="hardpan-fuzz-") as folder:
            report = run_target(load_target(name, Path(folder)), arguments.count, arguments.seed)
        sys.stdout.write(f"{report}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
