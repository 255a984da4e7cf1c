import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from hardpan import doctor
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.tools import TOOLS
from hardpan.doctor import Row, Tool
from hardpan.errors import ToolError
from hardpan.process import Completed
from hardpan.scanners.content import store
from tests.unit.tree import PRODUCT, REPO, files, texts


def told(
    monkeypatch: pytest.MonkeyPatch, *rows: Row, argv: tuple[str, ...] = ()
) -> tuple[int, str]:
    monkeypatch.setattr(doctor, "examined", lambda: rows)
    answer = CliRunner().invoke(doctor.doctor, argv, standalone_mode=False)
    return int(answer.return_value), answer.output


GOOD = Row(name="Python", ok=True, found="3.11.7")
BAD = Row(name="OVMF", ok=False, found="not found", mend="apt install ovmf")
OPTIONAL = Row(name="cosign", ok=None, found="not found", mend="make setup-cosign")


def test_all_there_is_exit_0_even_without_what_is_optional(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, text = told(monkeypatch, GOOD, OPTIONAL)

    assert code == 0
    assert text.splitlines()[0].split() == ["ok", "Python", "3.11.7"]


def test_what_is_missing_is_exit_4_with_the_way_to_mend_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, text = told(monkeypatch, GOOD, BAD)

    assert code == 4
    assert "MISSING  OVMF" in text
    assert "-> apt install ovmf" in text


def test_programs_may_read_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = told(monkeypatch, GOOD, BAD, argv=("--json",))

    assert code == 4
    assert json.loads(text)["rows"][1] == {
        "name": "OVMF",
        "ok": False,
        "found": "not found",
        "mend": "apt install ovmf",
    }


@pytest.mark.parametrize(("optional", "ok"), [(False, False), (True, None)])
def test_a_missing_tool_names_its_package_for_both_families(
    monkeypatch: pytest.MonkeyPatch, optional: bool, ok: bool | None
) -> None:
    monkeypatch.setattr(doctor, "path_of", lambda _: None)
    tool = Tool(program="no-such", apt="pkg-deb", dnf="pkg-rpm", optional=optional)

    row = doctor._tool(tool)

    assert row.ok is ok
    assert row.mend == "apt install pkg-deb | dnf install pkg-rpm"


@pytest.mark.parametrize(
    ("program", "extra"), [("ansible-playbook", "build"), ("ksvalidator", "tools")]
)
def test_program_of_a_python_package_comes_with_an_extra(program: str, extra: str) -> None:
    (tool,) = (t for t in TOOLS if t.program == program)

    assert tool.mend == f"pip install 'hardpan[{extra}]'"


def test_every_extra_that_is_named_exists() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        extra
        for _, text in texts(files((*PRODUCT, "docs"), ".py", ".md", ".j2"))
        for extra in re.findall(r"hardpan\[(\w+)\]'", text)
    }

    assert named >= {"build", "pdf", "tools", "tsa"}
    assert named <= set(project["optional-dependencies"])


def test_a_tool_that_is_there_but_does_not_run_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object, **__: object) -> Completed:
        raise ToolError(["xorriso"], "did not end within 60 s")

    monkeypatch.setattr(doctor, "path_of", lambda _: Path("/usr/bin/xorriso"))
    monkeypatch.setattr(doctor, "run", hangs)

    row = doctor._tool(Tool(program="xorriso", apt="xorriso", dnf="xorriso"))

    assert row.ok is False
    assert "did not end within 60 s" in row.found


def test_kvm_that_cannot_run_a_guest_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    why = "/dev/kvm is there, but a vCPU does not run"
    monkeypatch.setattr(doctor, "acceleration", lambda: Acceleration(kind="tcg", reason=why))

    row = doctor._kvm()

    assert row.ok is None
    assert row.found == why
    assert "slower" in row.mend


def test_a_full_disk_says_how_much_to_free(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 20 << 30})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    row = doctor._disk()

    assert row.ok is False
    assert "free 5 GiB" in row.mend


def test_every_tool_is_asked_once_and_has_a_package() -> None:
    names = [t.program for t in doctor.TOOLS]

    assert len(set(names)) == len(names)
    assert all(t.apt and t.dnf for t in doctor.TOOLS)


def test_content_row_names_the_data_streams_that_scans_take() -> None:
    row = doctor._content()

    assert row.ok is True
    assert re.fullmatch(
        r"ssg-rhel9-ds\.xml [0-9.]+ \(shipped\), ssg-rhel10-ds\.xml [0-9.]+ \(shipped\)", row.found
    )


def test_damaged_content_is_not_ok_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / store.MANIFEST).write_text("{}", "utf-8")
    monkeypatch.setattr(store, "updated_folder", lambda: tmp_path)

    row = doctor._content()

    assert row.ok is False
    assert f"{tmp_path / store.MANIFEST}: not a manifest of SCAP content" in row.found
    assert "hardpan content update" in row.mend
