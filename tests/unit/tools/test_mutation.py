import ast
from pathlib import Path

import pytest

from tests.tools import mutation


@pytest.mark.parametrize("module", mutation.MODULES)
def test_module_without_guard_still_parses(module: str) -> None:
    source = (mutation.ROOT / module).read_bytes()
    guards = mutation.find_guards(module)

    original = ast.dump(ast.parse(source))
    assert (ast.dump(ast.parse(mutation.insert_notes(source, guards))) != original) == bool(guards)
    changed = [ast.dump(ast.parse(mutation.remove_guard(source, guard))) for guard in guards]
    assert [
        str(guard) for guard, text in zip(guards, changed, strict=True) if text == original
    ] == []


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("if a:\n raise X", ["if a:\n pass"]),
        ("if a or b:\n raise X", ["if False or b:", "if a or False:", "if a or b:\n pass"]),
        ("if a and b:\n raise X", ["if a and b:\n pass"]),
        ("if not (a and b):\n raise X", ["if not (True and b):", "if not (a and True):", "pass"]),
        ("if not 0 < a <= b:\n raise X", ["if not 0 < a:", "if not a <= b:", "pass"]),
        ("def f():\n return a and b", ["return True and b", "return a and True"]),
        ("def f():\n same = {1: a, 2: b}\n raise X", ["1: True,", "2: True}", "pass"]),
        ("check(a)", ["pass"]),
        ("found.append(a)\nfound += a", ["pass\nfound += a", "found.append(a)\npass"]),
        ("record(a)\nf.seek(0)\nwrite_archive(a, f(b))", []),
        ("record(judge(a))", ["pass"]),
        ("record(Skipped(a))\nrecord(Passed(judge(a)))", []),
        ("try:\n f()\nexcept E:\n raise", ["try:\n pass"]),
    ],
)
def test_guards_are_listed_and_removed(
    source: str, left: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    (mutation.ROOT / "m.py").write_text(source)
    mutants = [
        mutation.remove_guard(source.encode(), g).decode() for g in mutation.find_guards("m.py")
    ]

    assert len(mutants) == len(left)
    for changed, part in zip(mutants, left, strict=True):
        assert part in changed
