import click
import pytest

from hardpan import cli
from hardpan.errors import InputError, SeveralError, ToolError


def verb(monkeypatch: pytest.MonkeyPatch, raises: BaseException | None, answer: int = 0) -> None:
    @click.command()
    def fake() -> int:
        if raises is not None:
            raise raises
        return answer

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: fake)


def test_an_error_is_told_with_its_hint_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, InputError("p.yaml:1:1: bad [red]", hint="see the README"))

    code = cli.run(["check"])

    said = capsys.readouterr()
    assert code == 3
    assert "error: p.yaml:1:1: bad [red]" in said.err
    assert "hint: see the README" in said.err
    assert said.out == ""


def test_the_tail_of_a_tool_is_shown_without_escape_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(monkeypatch, ToolError(["oscap"], "exited with 1", tail="a\x1b[31mb\nc"))

    code = cli.run(["scan"])

    said = capsys.readouterr().err
    assert code == 4
    assert "  | a [31mb" in said
    assert "  | c" in said


def test_several_errors_are_told_each_with_its_hint_and_end_as_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [ToolError(["oscap"], "is not installed", hint="install it"), InputError("bad lock")]
    verb(monkeypatch, SeveralError(both))

    code = cli.run(["build"])

    assert code == 4
    assert capsys.readouterr().err.splitlines() == [
        "error: oscap is not installed",
        "hint: install it",
        "error: bad lock",
    ]


def test_findings_end_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verb(monkeypatch, None, answer=1)

    assert cli.run(["scan"]) == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, click.Abort])
def test_an_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    verb(monkeypatch, kind())

    assert cli.run(["build"]) == 130


def test_an_unknown_verb_or_option_is_a_usage_error() -> None:
    assert cli.run(["frobnicate"]) == 2
    assert cli.run(["--frobnicate"]) == 2


def test_help_lists_every_verb_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0

    out = capsys.readouterr().out
    assert all(name in out for name in cli.VERBS)
