"""Damaged signature bundles: none is accepted with another statement than the signed one."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.verify.verifier import verify
from hardpan.signing import read_bundle
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.tamper.kit import BUNDLE, NOW, create_kit
from tests.unit.evidence.evidence_fixture import pack_files

UNEXPECTED_VALUES: tuple[Any, ...] = (
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
    lab = create_kit(folder)
    good, payload = lab.valid_files[BUNDLE], lab.valid_files["statement.json"]
    trust = lab.load_policy({})
    path = folder / "fuzz.evidence.zip"
    pack_files(path, lab.valid_files)
    statement = verify(path, trust, now=NOW).statement
    count = 0

    def check(data: bytes) -> str:
        nonlocal count
        count += 1
        try:
            opened, _ = read_bundle(data, label="bundle").verify(lab.scan_signer.public)
        except TrustError:
            if count % 25:
                raise
        else:
            assert opened == payload
        pack_files(path, {**lab.valid_files, BUNDLE: data})
        assert verify(path, trust, now=NOW).statement == statement
        return "accepted with the same statement"

    return FuzzTarget(
        name="bundle",
        inputs=st.one_of(mutate_samples([good], _PIECES), restructure_json(good)),
        check=check,
    )


@st.composite
def restructure_json(draw: DrawFn, good: bytes) -> bytes:
    """The JSON text ``good`` with one value in it replaced, removed or copied."""
    value: Any = json.loads(good)
    node = value
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and draw(st.integers(0, 4)):
            node = node[key]
            continue
        kind = draw(st.integers(0, 3))
        if kind == 0:
            node[key] = draw(st.sampled_from(UNEXPECTED_VALUES))
        elif kind == 1:
            del node[key]
        elif kind == 2 and isinstance(node, dict):
            node[f"{key}{draw(st.integers(0, 9))}"] = node[key]
        elif isinstance(node[key], str) and node[key]:
            index = draw(st.integers(0, len(node[key]) - 1))
            edit = draw(st.sampled_from("AB=-_/+ \n"))
            node[key] = node[key][:index] + edit + node[key][index + 1 :]
        break
    return json.dumps(value).encode()
