from types import SimpleNamespace
from typing import cast

import pytest

from hardpan.builder import seal
from hardpan.errors import ToolError
from hardpan.events import silent
from hardpan.scanners.call import Output
from hardpan.scanners.collect import batch, fips
from hardpan.scanners.collect.base import Evidence, Task
from hardpan.scanners.fips.model import Said
from hardpan.scanners.transport import Transport

MARK = "0123456789abcdef"


class Fake:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, command: str, **given: object) -> Output:
        assert given["max_bytes"] == 1 << 20
        self.asked.append(command)
        said = f"{MARK} begin flag\n1\n\n{MARK} end flag 0\n"
        return Output(rc=0, data=said.encode(), stderr="", took_s=0)


def test_everything_is_asked_in_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: MARK)
    fake = Fake()

    found = fips.FipsFacts().collect(cast(Transport, fake), Task(), timeout_s=9, emit=silent).fips

    assert len(fake.asked) == 1
    assert found is not None
    assert found.said == {"flag": Said(rc=0, text="1\n")}


def test_installers_command_line_is_read_where_a_sealed_image_keeps_it() -> None:
    """The seal removes the installer's logs and keeps this one line of them."""
    assert seal.INSTALLER_COMMAND_LINE in fips.questions()["installer"].split()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{MARK} begin flag\n1\n", []),
        (f"{MARK} begin flag\n1\n{MARK} end cmdline 0\n", []),
        ("other begin flag\n1\nother end flag 0\n", []),
        (f"{MARK} begin evil\n1\n{MARK} end evil 0\n", []),
        (f"{MARK} begin flag\n1\n{MARK} end flag 0x\n", []),
        (f"{MARK} begin flag\n\n{MARK} end flag 127\n", ["flag"]),
        (f"{MARK} begin flag\n\x00\ufffd\n{MARK} end flag 0\nnoise", ["flag"]),
    ],
)
def test_an_answer_that_is_not_whole_is_none(text: str, names: list[str]) -> None:
    found = batch.read(text, MARK, fips.questions(), max_text=32 << 10)

    assert list(fips.answers(found)) == names


def test_only_builds_on_a_certificate_are_verified() -> None:
    asked = fips.questions()["verify"]

    assert asked.count("openssl-fips-provider") == 1
    assert "openssl-fips-provider-3.0.7-27.el9_6ciqfips.0.2.7" in asked
    assert not any(f" {p}" in asked for p in ("kernel", "libgcrypt", "gnutls", "nss"))


def collect(monkeypatch: pytest.MonkeyPatch, text: str) -> Evidence:
    monkeypatch.setattr("secrets.token_hex", lambda _: MARK)
    fake = SimpleNamespace(
        run=lambda *_, **__: Output(rc=0, data=text.encode(), stderr="", took_s=0)
    )
    return fips.FipsFacts().collect(cast(Transport, fake), Task(), timeout_s=9, emit=silent)


def test_a_huge_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    good = f"{MARK} begin kernel\n6.1\n\n{MARK} end kernel 0\n"
    text = f"{good}{MARK} begin flag\n{'A' * 500_000}\n{MARK} end flag 0\n"

    found = collect(monkeypatch, text)

    assert found.fips is not None
    assert found.fips.said == {"kernel": Said(rc=0, text="6.1\n")}
    assert [(c.name, c.outcome, c.message) for c in found.checks] == [
        ("collect::fips[flag]", "error", "the answer is longer than 32768 bytes")
    ]


def test_no_answer_at_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolError, match="have no answer that can be read"):
        collect(monkeypatch, "junk")
