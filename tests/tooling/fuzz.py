"""Damaged bundles: none may crash the verifier, none may be taken with another statement.

.venv/bin/python -m tests.tooling.fuzz [COUNT [SEED]]
"""

import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardpan.errors import TrustError
from hardpan.scanners.evidence.verify import Verified, verify
from hardpan.signing import read_bundle
from tests.tamper.kit import BUNDLE, NOW, Workshop, workshop
from tests.unit.evidence.forge import write

_ODD: tuple[Any, ...] = (None, True, -1, 2**53, 1.5, "", "x", "\ufffd", [], {}, [[]], {"a": 1})
_WHOLE_EVERY = 25  # the bundle's reader sees each mutant, the whole verifier each 25th


@dataclass(kw_only=True)
class Told:
    """How a run went."""

    mutants: int = 0
    refused: int = 0
    accepted: int = 0
    """With the very same statement: what changed was in the unsigned part."""


def fuzz(w: Workshop, count: int, seed: int) -> Told:
    """Judge ``count`` mutants of the good bundle.

    Raises:
        AssertionError: one was taken that says something else.
    """
    dice = random.Random(seed)  # noqa: S311
    good, payload = w.good[BUNDLE], w.good["statement.json"]
    trust, told = w.trust({}), Told()
    best = verify_good(w)
    path = w.folder / "fuzz.evidence.zip"
    for n in range(count):
        data = mutant(dice, good)
        told.mutants += 1
        try:
            opened, _ = read_bundle(data, what="bundle").opened(w.scan.public)
        except TrustError:
            told.refused += 1
            if n % _WHOLE_EVERY:
                continue
            opened = payload
        assert opened == payload, f"seed {seed}, mutant {n}: another statement was taken"
        write(path, {**w.good, BUNDLE: data})
        try:
            verified = verify(path, trust, now=NOW)
        except TrustError:
            continue
        told.accepted += 1
        assert verified.statement == best.statement, f"seed {seed}, mutant {n}"
    return told


def verify_good(w: Workshop) -> Verified:
    """The good evidence, verified."""
    path = w.folder / "good.evidence.zip"
    write(path, w.good)
    return verify(path, w.trust({}), now=NOW)


def mutant(dice: random.Random, good: bytes) -> bytes:
    """``good`` damaged in its bytes, or changed as JSON."""
    if dice.random() < 0.4:
        return _restructured(dice, good)
    data = bytearray(good)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data))
        kind = dice.randrange(5)
        if kind == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at] = dice.choice(b'"{}[]:,\\0aA=-_+/ ')
        elif kind == 2:
            data[at : at + dice.randint(1, 8)] = dice.randbytes(dice.randint(0, 8))
        elif kind == 3:
            other = dice.randrange(len(data))
            data[at:at] = data[other : other + dice.randint(1, 64)]
        else:
            del data[at:]
            break
        if not data:
            break
    return bytes(data)


def _restructured(dice: random.Random, good: bytes) -> bytes:
    value: Any = json.loads(good)
    place = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = dice.choice(keys)
        if isinstance(place[key], dict | list) and dice.random() < 0.8:
            place = place[key]
            continue
        kind = dice.randrange(4)
        if kind == 0:
            place[key] = dice.choice(_ODD)
        elif kind == 1:
            del place[key]
        elif kind == 2 and isinstance(place, dict):
            place[f"{key}{dice.randrange(9)}"] = place[key]
        elif isinstance(place[key], str) and place[key]:
            at = dice.randrange(len(place[key]))
            place[key] = place[key][:at] + dice.choice("AB=-_/+ \n") + place[key][at + 1 :]
        break
    return json.dumps(value).encode()


def main() -> int:
    """Run, tell, and give the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hardpan-fuzz-") as room:
        told = fuzz(workshop(Path(room)), count, seed)
    sys.stdout.write(
        f"{told.mutants} bundles: {told.refused} refused by the reader, {told.accepted} accepted "
        f"with the very same statement, none with another, no crash; "
        f"seed {seed}, {time.monotonic() - began:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
