"""A machine that has every program, for unit tests, which may start none of them."""

from pathlib import Path

import pytest

from hardpan.builder import ksvalidator, shell, tools
from hardpan.builder.machine import firmware
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.media import sources
from hardpan.prove import before

REASON = "there is no /dev/kvm: guests are emulated"


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer in the place of QEMU, bash, ksvalidator, Ansible and the lab's builder."""
    monkeypatch.setattr(
        before, "detect_acceleration", lambda: Acceleration(kind="tcg", reason=REASON)
    )
    monkeypatch.setattr(before, "validate_roles", lambda _profile: None)
    monkeypatch.setattr(before, "require_free_space", lambda *_, **__: None)
    monkeypatch.setattr(before, "_require_memory", lambda _mib: None)
    monkeypatch.setattr(firmware, "require_firmware", lambda: None)
    monkeypatch.setattr(ksvalidator, "validate", lambda *_: True)
    monkeypatch.setattr(shell, "syntax_error", lambda _script: "")
    monkeypatch.setattr(tools, "find_program", lambda program: Path("/usr/bin") / program)
    monkeypatch.setattr(sources, "_run_media_builder", lambda *_, **__: {})
