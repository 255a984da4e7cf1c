"""A machine that has every program, for unit tests, which may start none of them."""

from pathlib import Path

import pytest

from hardpan.builder import bash_syntax, host_tools, ksvalidator
from hardpan.builder.media import sources
from hardpan.builder.vm import firmware
from hardpan.builder.vm.probe import Acceleration
from hardpan.preflight import checks

REASON = "there is no /dev/kvm: guests are emulated"


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer in the place of QEMU, bash, ksvalidator, Ansible and the lab's builder."""
    monkeypatch.setattr(
        checks, "detect_acceleration", lambda: Acceleration(kind="tcg", reason=REASON)
    )
    monkeypatch.setattr(checks, "validate_roles", lambda _profile: None)
    monkeypatch.setattr(checks, "require_free_space", lambda *_, **__: None)
    monkeypatch.setattr(checks, "_require_memory", lambda _mib: None)
    monkeypatch.setattr(firmware, "require_firmware", lambda _kind: None)
    monkeypatch.setattr(ksvalidator, "validate", lambda *_: True)
    monkeypatch.setattr(bash_syntax, "syntax_error", lambda _script: "")
    monkeypatch.setattr(host_tools, "find_program", lambda program: Path("/usr/bin") / program)
    monkeypatch.setattr(sources, "_run_media_builder", lambda *_, **__: {})
    monkeypatch.setattr(sources, "_read_content", lambda *_: None)
