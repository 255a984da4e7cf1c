"""A machine that has every program, for unit tests, which may start none of them."""

from pathlib import Path

import pytest

from hardpan.builder import ksvalidator, shell, tools
from hardpan.builder.machine import firmware
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.media import sources
from hardpan.prove import before

REASON = "there is no /dev/kvm: guests are emulated"


def put(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer in the place of QEMU, bash, ksvalidator, Ansible and the lab's builder."""
    monkeypatch.setattr(before, "acceleration", lambda: Acceleration(kind="tcg", reason=REASON))
    monkeypatch.setattr(before, "rehearse", lambda _profile: None)
    monkeypatch.setattr(before, "need_free", lambda *_, **__: None)
    monkeypatch.setattr(before, "_memory", lambda _mib: None)
    monkeypatch.setattr(firmware, "need", lambda: None)
    monkeypatch.setattr(ksvalidator, "validated", lambda *_: True)
    monkeypatch.setattr(shell, "problem", lambda _script: "")
    monkeypatch.setattr(tools, "path_of", lambda program: Path("/usr/bin") / program)
    monkeypatch.setattr(sources, "_asked", lambda *_, **__: {})
