"""Outputs that hold secrets or password hashes: mode 0600 at every moment, whatever was there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardpan.builder import steps
from hardpan.builder.commands.render import render
from hardpan.events import silent
from hardpan.files import PRIVATE, Sha256, atomic_path, create_private
from hardpan.profiles.load import load
from hardpan.resume import Receipt, Step
from hardpan.signing import new_signer

Write = Callable[[Path], None]
NONE = Sha256("0" * 64)


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture(autouse=True, params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def _atomic(path: Path) -> None:
    with atomic_path(path, mode=PRIVATE) as temp:
        temp.write_text("new")
        assert mode(temp.parent) == 0o700


def _in_place(path: Path) -> None:
    """As a program does that opens the file by its name."""
    create_private(path)
    path.write_text("new")


WRITERS = pytest.mark.parametrize("write", [_atomic, _in_place])


@WRITERS
def test_new_file_is_private(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "x")

    assert mode(tmp_path / "x") == 0o600
    assert (tmp_path / "x").read_text() == "new"


@WRITERS
def test_file_that_others_prepared_is_replaced(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o666)

    with path.open() as held:
        write(path)
        assert held.read() == "old"

    assert mode(path) == 0o600
    assert path.read_text() == "new"


@WRITERS
def test_link_that_others_prepared_is_replaced_not_followed(tmp_path: Path, write: Write) -> None:
    path, other = tmp_path / "x", tmp_path / "other"
    other.write_text("other")
    other.chmod(0o644)
    path.symlink_to(other)

    write(path)

    assert not path.is_symlink()
    assert mode(path) == 0o600
    assert (other.read_text(), mode(other)) == ("other", 0o644)


@WRITERS
def test_hard_link_that_others_prepared_gets_nothing(tmp_path: Path, write: Write) -> None:
    path, other = tmp_path / "x", tmp_path / "other"
    other.write_text("other")
    path.hardlink_to(other)

    write(path)

    assert (path.read_text(), other.read_text()) == ("new", "other")
    assert mode(path) == 0o600


def test_render_is_for_its_owner_alone_also_over_a_wider_one(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text(
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCw"
        "wNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= operator@example\n"
    )
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    (out / "ks.cfg").write_text("earlier")
    (out / "ks.cfg").chmod(0o666)

    render.main(["rocky9-stig", "-o", str(out), "--key", str(key)], standalone_mode=False)

    assert mode(out) == 0o700
    assert {p.name: mode(p) for p in out.iterdir()} == dict.fromkeys(
        ("ks.cfg", "build.yaml", "waivers.yaml", "layers.yaml"), 0o600
    )
    assert "--iscrypted --password=grub.pbkdf2" in (out / "ks.cfg").read_text()


def test_signing_key_is_private_and_its_public_half_is_not(tmp_path: Path) -> None:
    new_signer(tmp_path / "k.pem")

    assert mode(tmp_path / "k.pem") == 0o600
    assert mode(tmp_path / "k.pub") == 0o644


def _step(folder: Path) -> Step:
    return Step(name="s", folder=folder, inputs={}, outputs=(folder / "out",), private=True)


class Work:
    def __init__(self, output: Path) -> None:
        self.output = output
        self.runs = 0

    def __call__(self, _note: object) -> Receipt:
        self.runs += 1
        self.output.write_text("made")
        self.output.chmod(0o644)
        return {}


def test_output_of_an_earlier_run_becomes_private_when_it_is_reused(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    _step(tmp_path).once(silent, work)
    assert mode(tmp_path / "out") == 0o600
    (tmp_path / "out").chmod(0o644)

    _step(tmp_path).once(silent, work)

    assert mode(tmp_path / "out") == 0o600
    assert work.runs == 1


def test_output_that_belongs_to_another_user_is_not_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(tmp_path / "out")
    _step(tmp_path).once(silent, work)
    real = Path.chmod

    def refuse(path: Path, mode: int) -> None:
        if mode == PRIVATE and path.name == "out" and work.runs == 1:
            raise PermissionError
        real(path, mode)

    monkeypatch.setattr(Path, "chmod", refuse)

    _step(tmp_path).once(silent, work)

    assert work.runs == 2
    assert mode(tmp_path / "out") == 0o600


def test_iso_base_install_and_image_are_private(tmp_path: Path) -> None:
    profile = load("lab-stig")

    made = (
        steps.iso(profile, tmp_path, media_sha256=NONE, text="x", arguments=()),
        steps.install(profile, tmp_path, iso_sha256=NONE),
        steps.harden(profile, tmp_path, base_sha256=NONE, content_sha256=NONE),
    )

    assert [(step.name, step.private) for step in made] == [
        ("iso", True),
        ("install", True),
        ("harden", True),
    ]
