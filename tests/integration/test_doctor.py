"""The doctor on this very machine: everything is really looked at."""

import json
import sys

import pytest

from hardpan.core.process import CompletedProcess, run

pytestmark = pytest.mark.integration


def run_doctor(*argv: str, **options: object) -> CompletedProcess:
    return run(
        [sys.executable, "-m", "hardpan", "doctor", *argv],
        timeout_s=120,
        ok=(0, 4),
        **options,  # type: ignore[arg-type]
    )


def test_installed_tools_are_reported_with_version() -> None:
    rows = {r["name"].split()[0]: r for r in json.loads(run_doctor("--json").stdout)["checks"]}

    assert "QEMU emulator version" in rows["qemu-system-x86_64"]["detail"]
    assert rows["xorriso"]["ok"] is True
    assert rows["OVMF"]["detail"].startswith("/")
    assert rows["memory"]["detail"].endswith(" MiB")


def test_kvm_is_tested_by_running_it() -> None:
    rows = {r["name"]: r for r in json.loads(run_doctor("--json").stdout)["checks"]}

    phrases = ("really ran", "no /dev/kvm", "does not run")
    assert any(phrase in rows["KVM"]["detail"] for phrase in phrases)


def test_missing_tools_are_reported_with_packages() -> None:
    process = run_doctor(env={"PATH": "/nonexistent"})

    assert process.returncode == 4
    missing = [line for line in process.stdout.splitlines() if line.startswith("MISSING")]
    assert [line.split()[1] for line in missing] == [
        *("qemu-system-x86_64", "qemu-img", "xorriso", "mcopy", "implantisomd5", "checkisomd5"),
        *("oscap", "ssh-keygen", "openssl"),
    ]
    assert "-> apt install qemu-system-x86 | dnf install qemu-kvm" in process.stdout
