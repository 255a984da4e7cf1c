"""Getting wheels: a few at a time, kept for every stack, with what is lacking told."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardpan.builder.stacks import fetch, locks
from hardpan.builder.stacks.model import Recipe
from hardpan.errors import ResourceError, ToolError
from hardpan.events import Event, Progress, silent
from hardpan.profiles.frameworks import Stack

NAMES = ("a", "b", "c", "d", "e", "f")


@dataclass
class Index:
    """Stands in for pip: gives each wheel that is asked for, and can be told to fail."""

    fails_at: str = ""
    says: str = ""
    asked: list[list[str]] = field(default_factory=list)

    def pip(self, argv: Sequence[str | Path], *, timeout_s: float, env: dict[str, str]) -> None:
        to = Path(argv[argv.index("-d") + 1])
        wanted = Path(argv[argv.index("-r") + 1]).read_text("utf-8").splitlines()
        names = [line.partition("==")[0] for line in wanted]
        self.asked.append(names)
        assert timeout_s > 0
        assert env == {"TMPDIR": str(to)}
        assert "--no-cache-dir" in argv
        if self.fails_at in names:
            raise ToolError(["pip"], "exited with 1", tail=self.says)
        for name in names:
            (to / f"{name}-1-py3-none-any.whl").write_bytes(name.encode())


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    made = Index()
    monkeypatch.setattr(fetch, "pip", made.pip)
    return made


def recipe(folder: Path, name: str, *names: str) -> Recipe:
    path = folder / f"{name}.lock"
    digests = ((n, hashlib.sha256(n.encode()).hexdigest()) for n in names)
    path.write_text("".join(f"{n}==1 --hash=sha256:{digest}\n" for n, digest in digests))
    stack = Stack(name=name, packages=("a",), lock=str(path), python="3.12")
    return Recipe(stack=stack, release="rocky9", lock=locks.read(stack))


def test_wheels_come_a_few_at_a_time_and_each_time_is_told(tmp_path: Path, index: Index) -> None:
    told: list[Event] = []

    files = fetch.gather(recipe(tmp_path, "one", *NAMES), tmp_path / "cache", told.append)

    assert [p.name[0] for p in sorted(files.folder.iterdir())] == list(NAMES)
    assert index.asked == [["a", "b", "c", "d"], ["e", "f"]]
    progress = [e for e in told if isinstance(e, Progress)]
    assert [(e.done, e.total, e.text) for e in progress] == [
        (0, 6, "one: a, b, c, d"),
        (4, 6, "one: e, f"),
    ]


def test_what_came_before_a_failure_does_not_come_again(tmp_path: Path, index: Index) -> None:
    index.fails_at, index.says = "f", "no answer"
    wanted = recipe(tmp_path, "one", *NAMES)
    with pytest.raises(ToolError, match="pip one: no wheels of e, f"):
        fetch.gather(wanted, tmp_path / "cache", silent)
    index.fails_at = "none"
    index.asked.clear()

    fetch.gather(wanted, tmp_path / "cache", silent)

    assert index.asked == [["e", "f"]]
    assert not [p for p in (tmp_path / "cache/wheelhouse").iterdir() if p.name.startswith(".")]


def test_two_stacks_share_a_wheel_on_disk(tmp_path: Path, index: Index) -> None:
    one = fetch.gather(recipe(tmp_path, "one", "a", "b"), tmp_path / "cache", silent)

    two = fetch.gather(recipe(tmp_path, "two", "b", "c"), tmp_path / "cache", silent)

    assert index.asked == [["a", "b"], ["c"]]
    wheel = "b-1-py3-none-any.whl"
    assert (one.folder / wheel).samefile(two.folder / wheel)


def test_a_full_disk_is_told_as_that(tmp_path: Path, index: Index) -> None:
    index.fails_at, index.says = "a", "OSError: [Errno 28] No space left on device"

    with pytest.raises(ResourceError) as caught:
        fetch.gather(recipe(tmp_path, "one", "a"), tmp_path / "cache", silent)

    assert "no space left for a" in str(caught.value)
    assert "--cache" in caught.value.hint


def test_a_kept_wheel_that_was_changed_is_not_trusted(tmp_path: Path, index: Index) -> None:
    cache = tmp_path / "cache"
    first = fetch.gather(recipe(tmp_path, "one", "a"), cache, silent)
    (first.folder / "a-1-py3-none-any.whl").write_bytes(b"x")
    shutil.rmtree(first.folder)

    with pytest.raises(fetch.TrustError, match=r"a 1: found .*, not locked"):
        fetch.gather(recipe(tmp_path, "one", "a"), cache, silent)

    assert index.asked == [["a"]]
