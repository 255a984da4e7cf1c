from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.builder.vm import installer_log
from hardpan.builder.vm.installer_log import InstallerLog

SCRIPT_ERROR = (
    "anaconda:anaconda: kickstart.script: Error code 1 running the kickstart script at line 12"
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[InstallerLog]:
    with installer_log.open_installer_log(tmp_path / "x.log") as opened:
        assert opened is not None
        yield opened


def append(path: Path, *lines: str) -> None:
    with path.open("ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def test_errors_of_the_log_are_collected(log: InstallerLog) -> None:
    append(log.path, f"05:35:38,756 ERR {SCRIPT_ERROR}", "05:35:38,760 DEBUG anaconda:ERR is no")
    append(log.path, "05:35:39,001 INFO program: x", "05:35:39,002 CRIT kernel: y")

    log.poll()

    assert list(log.errors) == [SCRIPT_ERROR, "kernel: y"]
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_split_line_of_the_log_is_joined(log: InstallerLog) -> None:
    for part in ("05:35:38,756 E", f"RR {SCRIPT_ERROR}\n"):
        with log.path.open("a") as file:
            file.write(part)
        log.poll()

    assert list(log.errors) == [SCRIPT_ERROR]


def test_long_log_is_emptied_and_read_on(
    log: InstallerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installer_log, "_MAX_BYTES", 1000)
    append(log.path, "x" * 2000)
    log.poll()
    assert log.path.stat().st_size == 0

    append(log.path, "05:35:38,756 ERR dnf: no space")
    log.poll()

    assert list(log.errors) == ["dnf: no space"]


def test_empty_log_is_removed(tmp_path: Path) -> None:
    with installer_log.open_installer_log(tmp_path / "x.log"):
        assert (tmp_path / "x.log").exists()

    assert not (tmp_path / "x.log").exists()


def test_port_has_the_name_that_anaconda_opens(log: InstallerLog) -> None:
    arguments = log.arguments()

    assert "virtserialport,chardev=installer-log,name=org.fedoraproject.anaconda.log.0" in arguments
    assert any(a.endswith("append=on") for a in arguments)
