"""Wheels are downloaded in batches and cached for all stacks."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardpan.builder.python_stacks import fetch, locks
from hardpan.builder.python_stacks.model import LockedStack
from hardpan.core.errors import ResourceError, ToolError
from hardpan.core.events import Event, StageProgress, discard
from hardpan.profiles.schema.frameworks import Stack

NAMES = ("a", "b", "c", "d", "e", "f")


@dataclass
class FakePip:
    """Replaces pip: writes each requested wheel, or fails at a package."""

    failing_package: str = ""
    error_output: str = ""
    requests: list[list[str]] = field(default_factory=list)

    def pip(self, argv: Sequence[str | Path], *, timeout_s: float, env: dict[str, str]) -> None:
        folder = Path(argv[argv.index("-d") + 1])
        lines = Path(argv[argv.index("-r") + 1]).read_text("utf-8").splitlines()
        names = [line.partition("==")[0] for line in lines]
        self.requests.append(names)
        assert timeout_s > 0
        assert env == {"TMPDIR": str(folder)}
        assert "--no-cache-dir" in argv
        if self.failing_package in names:
            raise ToolError(["pip"], "exited with 1", output_tail=self.error_output)
        for name in names:
            (folder / f"{name}-1-py3-none-any.whl").write_bytes(name.encode())


@pytest.fixture
def fake_pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip()
    monkeypatch.setattr(fetch, "run_pip", fake.pip)
    return fake


def make_stack(folder: Path, name: str, *names: str) -> LockedStack:
    path = folder / f"{name}.lock"
    digests = ((n, hashlib.sha256(n.encode()).hexdigest()) for n in names)
    path.write_text("".join(f"{n}==1 --hash=sha256:{digest}\n" for n, digest in digests))
    stack = Stack(name=name, packages=("a",), lock=str(path), python="3.12")
    return LockedStack(stack=stack, release="rocky9", lock=locks.read_lock(stack))


def test_wheels_are_downloaded_in_batches_with_progress(tmp_path: Path, fake_pip: FakePip) -> None:
    events: list[Event] = []

    files = fetch.download_wheels(
        make_stack(tmp_path, "one", *NAMES), tmp_path / "cache", events.append
    )

    assert [p.name[0] for p in sorted(files.folder.iterdir())] == list(NAMES)
    assert fake_pip.requests == [["a", "b", "c", "d"], ["e", "f"]]
    progress = [e for e in events if isinstance(e, StageProgress)]
    assert [(e.completed, e.total, e.text) for e in progress] == [
        (0, 6, "one: a, b, c, d"),
        (4, 6, "one: e, f"),
    ]


def test_downloaded_wheels_survive_failure(tmp_path: Path, fake_pip: FakePip) -> None:
    fake_pip.failing_package, fake_pip.error_output = "f", "no answer"
    locked_stack = make_stack(tmp_path, "one", *NAMES)
    with pytest.raises(ToolError, match="pip one: no wheels of e, f"):
        fetch.download_wheels(locked_stack, tmp_path / "cache", discard)
    fake_pip.failing_package = "none"
    fake_pip.requests.clear()

    fetch.download_wheels(locked_stack, tmp_path / "cache", discard)

    assert fake_pip.requests == [["e", "f"]]
    assert not [p for p in (tmp_path / "cache/wheelhouse").iterdir() if p.name.startswith(".")]


def test_two_stacks_share_a_cached_wheel(tmp_path: Path, fake_pip: FakePip) -> None:
    first = fetch.download_wheels(
        make_stack(tmp_path, "one", "a", "b"), tmp_path / "cache", discard
    )

    second = fetch.download_wheels(
        make_stack(tmp_path, "two", "b", "c"), tmp_path / "cache", discard
    )

    assert fake_pip.requests == [["a", "b"], ["c"]]
    wheel = "b-1-py3-none-any.whl"
    assert (first.folder / wheel).samefile(second.folder / wheel)


def test_full_disk_is_reported(tmp_path: Path, fake_pip: FakePip) -> None:
    fake_pip.failing_package, fake_pip.error_output = (
        "a",
        "OSError: [Errno 28] No space left on device",
    )

    with pytest.raises(ResourceError) as caught:
        fetch.download_wheels(make_stack(tmp_path, "one", "a"), tmp_path / "cache", discard)

    assert "no space left for a" in str(caught.value)
    assert "--cache" in caught.value.hint


def test_changed_cached_wheel_is_refused(tmp_path: Path, fake_pip: FakePip) -> None:
    cache = tmp_path / "cache"
    first = fetch.download_wheels(make_stack(tmp_path, "one", "a"), cache, discard)
    (first.folder / "a-1-py3-none-any.whl").write_bytes(b"x")
    shutil.rmtree(first.folder)

    with pytest.raises(fetch.TrustError, match=r"a 1: found .*, not locked"):
        fetch.download_wheels(make_stack(tmp_path, "one", "a"), cache, discard)

    assert fake_pip.requests == [["a"]]
