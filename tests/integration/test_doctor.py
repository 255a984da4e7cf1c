"""The doctor on this very machine: everything is really looked at."""

import json
import sys

import pytest

from hardpan.process import Completed, run

pytestmark = pytest.mark.integration


def examined(*argv: str, **options: object) -> Completed:
    return run(
        [sys.executable, "-m", "hardpan", "doctor", *argv],
        timeout_s=120,
        ok=(0, 4),
        **options,  # type: ignore[arg-type]
    )


def test_what_the_tests_need_is_found_with_its_version() -> None:
    rows = {r["name"].split()[0]: r for r in json.loads(examined("--json").stdout)["rows"]}

    assert "QEMU emulator version" in rows["qemu-system-x86_64"]["found"]
    assert rows["xorriso"]["ok"] is True
    assert rows["OVMF"]["found"].startswith("/")
    assert rows["memory"]["found"].endswith(" MiB")


def test_kvm_is_really_tried() -> None:
    rows = {r["name"]: r for r in json.loads(examined("--json").stdout)["rows"]}

    words = ("really ran", "no /dev/kvm", "does not run")
    assert any(w in rows["KVM"]["found"] for w in words)


def test_on_a_machine_without_the_tools_it_tells_how_to_get_them() -> None:
    answer = examined(env={"PATH": "/nonexistent"})

    assert answer.returncode == 4
    missing = [x for x in answer.stdout.splitlines() if x.startswith("MISSING")]
    assert [x.split()[1] for x in missing] == [
        *("qemu-system-x86_64", "qemu-img", "xorriso", "mcopy", "implantisomd5", "checkisomd5"),
        *("oscap", "ssh-keygen", "openssl"),
    ]
    assert "-> apt install qemu-system-x86 | dnf install qemu-kvm" in answer.stdout
