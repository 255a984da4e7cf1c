"""Damaged signature bundles: none is accepted with another statement than the signed one."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hardpan.errors import TrustError
from hardpan.scanners.evidence.verify import verify
from hardpan.signing import read_bundle
from tests.fuzz.target import FuzzTarget, mutated
from tests.tamper.kit import BUNDLE, NOW, workshop
from tests.unit.evidence.forge import write

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**53,
    1.5,
    "",
    "x",
    "\ufffd",
    [],
    {},
    [[]],
    {"a": 1},
)
_PIECES = (*(bytes([c]) for c in b'"{}[]:,\\0aA=-_+/ '), b'"\\"', b"[[", b'{"a":', b"1e400", b"\\u")


def target(folder: Path) -> FuzzTarget:
    """Bundles for the bundle's reader; what it refuses goes to the whole verifier now and then."""
    lab = workshop(folder)
    good, payload = lab.good[BUNDLE], lab.good["statement.json"]
    trust = lab.trust({})
    path = folder / "fuzz.evidence.zip"
    write(path, lab.good)
    statement = verify(path, trust, now=NOW).statement
    count = 0

    def judge(data: bytes) -> str:
        nonlocal count
        count += 1
        try:
            opened, _ = read_bundle(data, what="bundle").opened(lab.scan.public)
        except TrustError:
            if count % 25:
                raise
        else:
            assert opened == payload
        write(path, {**lab.good, BUNDLE: data})
        assert verify(path, trust, now=NOW).statement == statement
        return "accepted with the same statement"

    return FuzzTarget(
        name="bundle",
        inputs=st.one_of(mutated([good], _PIECES), restructured(good)),
        judge=judge,
    )


@st.composite
def restructured(draw: DrawFn, good: bytes) -> bytes:
    """The JSON text ``good`` with one value in it replaced, removed or copied."""
    value: Any = json.loads(good)
    place = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and draw(st.integers(0, 4)):
            place = place[key]
            continue
        kind = draw(st.integers(0, 3))
        if kind == 0:
            place[key] = draw(st.sampled_from(ODD_VALUES))
        elif kind == 1:
            del place[key]
        elif kind == 2 and isinstance(place, dict):
            place[f"{key}{draw(st.integers(0, 9))}"] = place[key]
        elif isinstance(place[key], str) and place[key]:
            at = draw(st.integers(0, len(place[key]) - 1))
            edit = draw(st.sampled_from("AB=-_/+ \n"))
            place[key] = place[key][:at] + edit + place[key][at + 1 :]
        break
    return json.dumps(value).encode()
