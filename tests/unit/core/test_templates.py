import sys
from pathlib import Path

import pytest
from jinja2 import Environment

from hardpan.core.templates import html_environment


def _render(folder: Path, value: str = "<") -> str:
    return html_environment(folder).get_template("page.j2").render(x=value)


def _stored(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "page.j2").write_text("<p>{{ x }}</p>")
    return tmp_path


def test_compiled_template_is_stored_and_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _render(folder)
    stored = _stored(folder)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Environment, "compile", refuse)

    assert (first, _render(folder, "&")) == ("<p>&lt;</p>", "<p>&amp;</p>")
    assert [path.name.startswith("html-") for path in stored] == [True]


def test_changed_template_is_compiled_again(folder: Path) -> None:
    _render(folder)
    (folder / "page.j2").write_text("<b>{{ x }}</b>")

    assert _render(folder) == "<b>&lt;</b>"


@pytest.mark.parametrize("size", [0, 10, 200])
def test_damaged_compiled_template_is_not_used(folder: Path, size: int) -> None:
    _render(folder)
    (path,) = _stored(folder)
    path.write_bytes(path.read_bytes()[:size])

    assert _render(folder) == "<p>&lt;</p>"


def test_template_is_rendered_if_nothing_can_be_stored(folder: Path) -> None:
    (folder / "__pycache__").write_text("no folder")

    assert _render(folder) == "<p>&lt;</p>"


def test_nothing_is_stored_if_python_stores_no_bytecode(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    assert _render(folder) == "<p>&lt;</p>"
    assert _stored(folder) == []
