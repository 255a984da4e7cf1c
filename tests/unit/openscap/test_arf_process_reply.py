"""The answer of the process that reads an ARF is validated: whoever takes it over writes it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from hardpan.core.errors import ToolError
from hardpan.scanners.openscap.arf.reply import parse_reply
from hardpan.scanners.openscap.arf.results import parse_arf
from tests.unit.openscap.samples import ARF

ARF_BYTES = ARF.replace("\x85", " ").encode()


def encode_reply(change: Callable[[Any], object] = lambda _: None) -> bytes:
    report = json.loads(json.dumps(asdict(parse_arf([ARF_BYTES]))))
    change(report)
    return json.dumps({"arf": report}).encode()


def test_reply_round_trips() -> None:
    assert parse_reply(encode_reply(), "x.xml") == parse_arf([ARF_BYTES])


def test_reply_may_be_a_refusal() -> None:
    with pytest.raises(ToolError, match=r"^the ARF x\.xml is cut short$"):
        parse_reply(b'{"refused": "is cut short"}', "x.xml")


CHANGES: dict[str, Callable[[Any], object]] = {
    "an unknown verdict": lambda r: r["rules"]["one"].update(verdict="fine"),
    "another rule": lambda r: r["rules"]["one"].update(rule_id="two"),
    "no verdict": lambda r: r["rules"]["one"].pop("verdict"),
    "more than is known": lambda r: r.update(more=1),
    "an unknown engine": lambda r: r["rules"]["one"].update(engine="X"),
    "a line that moves the cursor": lambda r: r["rules"]["one"].update(evidence_lines=["\x1b[2J"]),
    "a long line": lambda r: r["rules"]["one"].update(evidence_lines=["x" * 400]),
    "many lines": lambda r: r["rules"]["one"].update(evidence_lines=["x"] * 37),
    "a number for a text": lambda r: r["rules"]["one"].update(evidence_lines=[1]),
    "a text for a truth value": lambda r: r["rules"]["one"].update(incomplete="no"),
    "a score that is none": lambda r: r.update(score=float("nan")),
    "a negative score": lambda r: r.update(score=-1),
    "a time that is none": lambda r: r.update(finished="now"),
    "an unknown severity": lambda r: r["rules"]["one"].update(severity="bad"),
    "an unknown role": lambda r: r["rules"]["one"].update(role="bad"),
    "an infinite weight": lambda r: r["rules"]["one"].update(weight=float("inf")),
    "no result": lambda r: r["rules"]["one"].update(result_count=0),
    "a long value": lambda r: r.update(values={"x": "x" * 8000}),
    "a long id": lambda r: r.update(profile_id="x" * 1001),
    "many rules": lambda r: r.update(
        rules={str(n): {**r["rules"]["one"], "rule_id": str(n)} for n in range(5_002)}
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_malformed_reply_is_refused(name: str) -> None:
    with pytest.raises(ToolError, match="was not read: the reply is malformed"):
        parse_reply(encode_reply(CHANGES[name]), "x.xml")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"[]", b"\xff", b'{"more": 1}', b"[" * 100_000, b'{"arf": 1}']
)
def test_invalid_reply_is_refused(data: bytes) -> None:
    with pytest.raises(ToolError, match="was not read"):
        parse_reply(data, "x.xml")
