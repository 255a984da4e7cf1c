"""Unusual JSON texts: an accepted one is equal in Python's reader, and can be written again."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from hardpan.core.files import canonical_json
from hardpan.signing import parse_json
from hardpan.signing.strict_json import MAX_DEPTH
from tests.fuzz.target import FuzzTarget, mutate_samples

_PIECES = (
    *(bytes([c]) for c in b'"\\[]{}:,-.0eE \n'),
    *(b'\\"', b"\\\\", b'\\\\"', b'"[', b'""', b"[[", b'{"":', b"1e400", b"1e308", b"-0", b"1.0"),
    *(b"\\u0022", b"\\ud800", b"\\ud83d\\ude00", b"NaN", b"9007199254740993", b"\xff", b"\0"),
    *("é".encode(), "\U0001f600".encode(), b"true", b"nul", b'"a":1,', b"[],", b"{},"),
)
_SAMPLES = (
    rb'{"a":["\\","[{\"]}",{"b":{"c":[1,2.5,null,true,"\u00e9"]}}],"d":{},"e":[],"f":-41.2346}',
    b'[[[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]]]',
    b'{"mediaType":"x","dsseEnvelope":{"payload":"QUJD","signatures":[{"keyid":"","sig":"AA=="}]}}',
)
_TEXTS = st.text(st.sampled_from('ab"\\[{,:\n\0\u20ac\U0001f600\ud800'), max_size=6)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


def target(folder: Path) -> FuzzTarget:
    """JSON texts for the strict reader; ``folder`` is not used."""
    del folder

    def check(data: bytes) -> str:
        value = parse_json(data, label="it", max_bytes=1 << 20)
        assert value == json.loads(data.decode())
        assert _depth(value) <= MAX_DEPTH
        if all(key.isascii() for key in _keys(value)):
            written = canonical_json(value)
            assert parse_json(written, label="it", max_bytes=2 << 20) == value
        return "taken"

    texts = st.builds(
        lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only).encode(
            "utf-8", "surrogatepass"
        ),
        _VALUES,
        st.booleans(),
    )
    return FuzzTarget(
        name="strict_json", inputs=st.one_of(mutate_samples(_SAMPLES, _PIECES), texts), check=check
    )


def _depth(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, dict | list) else 0


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []
