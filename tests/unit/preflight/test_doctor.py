import json
import re
import shutil
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from hardpan.builder.host_tools import TOOLS
from hardpan.builder.vm.probe import Acceleration
from hardpan.cli.doctor import doctor as doctor_command
from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.process import CompletedProcess
from hardpan.preflight import doctor
from hardpan.preflight.doctor import DoctorCheck, HostTool
from hardpan.scanners.content import store
from hardpan.scanners.stig.manual_stig import list_stigs
from tests.source_tree import PRODUCT, REPO, list_files, read_texts


def run_doctor(
    monkeypatch: pytest.MonkeyPatch, *checks: DoctorCheck, argv: tuple[str, ...] = ()
) -> tuple[int, str]:
    monkeypatch.setattr("hardpan.cli.doctor.run_checks", lambda: checks)
    result = CliRunner().invoke(doctor_command, argv, standalone_mode=False)
    return int(result.return_value), result.output


PASSING = DoctorCheck(name="Python", ok=True, detail="3.11.7")
FAILING = DoctorCheck(name="OVMF", ok=False, detail="not found", fix="apt install ovmf")
OPTIONAL = DoctorCheck(name="cosign", ok=None, detail="not found", fix="make setup-cosign")


@pytest.mark.parametrize(("days", "ok"), [(-1, None), (0, True), (180, True), (181, None)])
def test_stig_releases_are_reported_with_their_age(
    monkeypatch: pytest.MonkeyPatch, days: int, ok: bool | None
) -> None:
    compared = max(datetime.fromisoformat(s.as_of) for s in list_stigs()).replace(tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: compared + timedelta(days=days))

    check = doctor._check_stigs()

    assert check.ok is ok
    assert "RHEL_9_STIG V2R9 of 2026-07-01, RHEL_10_STIG V1R2 of" in check.detail
    assert ("update hardpan" in check.fix) is (ok is None)


def test_exit_zero_without_optional_tools(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, text = run_doctor(monkeypatch, PASSING, OPTIONAL)

    assert code == 0
    assert text.splitlines()[0].split() == ["ok", "Python", "3.11.7"]


def test_missing_requirement_exits_four_with_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, text = run_doctor(monkeypatch, PASSING, FAILING)

    assert code == 4
    assert "MISSING  OVMF" in text
    assert "-> apt install ovmf" in text


def test_json_output_has_all_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run_doctor(monkeypatch, PASSING, FAILING, argv=("--json",))

    assert code == 4
    assert json.loads(text)["checks"][1] == {
        "name": "OVMF",
        "ok": False,
        "detail": "not found",
        "fix": "apt install ovmf",
    }


@pytest.mark.parametrize(("optional", "ok"), [(False, False), (True, None)])
def test_missing_tool_names_apt_and_dnf_packages(
    monkeypatch: pytest.MonkeyPatch, optional: bool, ok: bool | None
) -> None:
    monkeypatch.setattr(doctor, "find_program", lambda _: None)
    tool = HostTool(program="no-such", apt="pkg-deb", dnf="pkg-rpm", is_optional=optional)

    check = doctor._check_tool(tool)

    assert check.ok is ok
    assert check.fix == "apt install pkg-deb | dnf install pkg-rpm"


@pytest.mark.parametrize(
    ("program", "extra"), [("ansible-playbook", "build"), ("ksvalidator", "tools")]
)
def test_python_tool_is_installed_by_an_extra(program: str, extra: str) -> None:
    (tool,) = (t for t in TOOLS if t.program == program)

    assert tool.install_hint == f"pip install 'hardpan[{extra}]'"


def test_every_mentioned_extra_exists() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        extra
        for _, text in read_texts(list_files((*PRODUCT, "docs"), ".py", ".md", ".j2"))
        for extra in re.findall(r"hardpan\[(\w+)\]'", text)
    }

    assert named >= {"build", "pdf", "tools", "tsa"}
    assert named <= set(project["optional-dependencies"])


def test_tool_that_does_not_run_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_timeout(*_: object, **__: object) -> CompletedProcess:
        raise ToolError(["xorriso"], "did not end within 60 s")

    monkeypatch.setattr(doctor, "find_program", lambda _: Path("/usr/bin/xorriso"))
    monkeypatch.setattr(doctor, "run", raise_timeout)

    check = doctor._check_tool(HostTool(program="xorriso", apt="xorriso", dnf="xorriso"))

    assert check.ok is False
    assert "did not end within 60 s" in check.detail


def test_unusable_kvm_is_reported_with_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "/dev/kvm is there, but a vCPU does not run"
    monkeypatch.setattr(
        doctor, "detect_acceleration", lambda: Acceleration(kind="tcg", reason=reason)
    )

    check = doctor._check_kvm()

    assert check.ok is None
    assert check.detail == reason
    assert "slower" in check.fix


def test_low_disk_space_reports_amount_to_free(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 20 << 30})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    check = doctor._check_disk()

    assert check.ok is False
    assert "free 5 GiB" in check.fix


def test_every_tool_is_listed_once_with_packages() -> None:
    names = [t.program for t in doctor.TOOLS]

    assert len(set(names)) == len(names)
    assert all(t.apt and t.dnf for t in doctor.TOOLS)


def test_content_check_names_the_data_streams() -> None:
    check = doctor._check_content()

    assert check.ok is True
    assert re.fullmatch(
        r"ssg-rhel9-ds\.xml [0-9.]+ \(shipped\), ssg-rhel10-ds\.xml [0-9.]+ \(shipped\)",
        check.detail,
    )


def test_damaged_content_is_not_ok_and_has_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / store.MANIFEST).write_text("{}", "utf-8")
    monkeypatch.setattr(store, "updated_folder", lambda: tmp_path)

    check = doctor._check_content()

    assert check.ok is False
    assert f"{tmp_path / store.MANIFEST}: not a manifest of SCAP content" in check.detail
    assert "hardpan content update" in check.fix
