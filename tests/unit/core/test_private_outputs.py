"""Outputs that hold secrets or password hashes: mode 0600 at every moment, whatever was there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardpan.builder import stages
from hardpan.builder.layers.registry import LAYERS
from hardpan.cli.render import render
from hardpan.core.events import discard
from hardpan.core.files import PRIVATE_MODE, Sha256, atomic_path, create_private
from hardpan.core.stage_cache import CachedStage, StageResult
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.signing import create_signer

Write = Callable[[Path], None]
NONE = Sha256("0" * 64)


def file_mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture(autouse=True, params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    original = os.umask(request.param)
    yield
    os.umask(original)


def _write_atomically(path: Path) -> None:
    with atomic_path(path, mode=PRIVATE_MODE) as temp:
        temp.write_text("new")
        assert file_mode(temp.parent) == 0o700


def _write_in_place(path: Path) -> None:
    """As a program does that opens the file by its name."""
    create_private(path)
    path.write_text("new")


WRITERS = pytest.mark.parametrize("write", [_write_atomically, _write_in_place])


@WRITERS
def test_new_file_is_private(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "x")

    assert file_mode(tmp_path / "x") == 0o600
    assert (tmp_path / "x").read_text() == "new"


@WRITERS
def test_existing_file_is_replaced(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o666)

    with path.open() as open_file:
        write(path)
        assert open_file.read() == "old"

    assert file_mode(path) == 0o600
    assert path.read_text() == "new"


@WRITERS
def test_existing_symlink_is_replaced_not_followed(tmp_path: Path, write: Write) -> None:
    path, link_target = tmp_path / "x", tmp_path / "other"
    link_target.write_text("other")
    link_target.chmod(0o644)
    path.symlink_to(link_target)

    write(path)

    assert not path.is_symlink()
    assert file_mode(path) == 0o600
    assert (link_target.read_text(), file_mode(link_target)) == ("other", 0o644)


@WRITERS
def test_existing_hard_link_is_not_written(tmp_path: Path, write: Write) -> None:
    path, linked_file = tmp_path / "x", tmp_path / "other"
    linked_file.write_text("other")
    path.hardlink_to(linked_file)

    write(path)

    assert (path.read_text(), linked_file.read_text()) == ("new", "other")
    assert file_mode(path) == 0o600


def test_render_output_is_private_even_over_existing_files(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text(
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCw"
        "wNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= operator@example\n"
    )
    output_folder = tmp_path / "out"
    output_folder.mkdir(mode=0o777)
    (output_folder / "ks.cfg").write_text("earlier")
    (output_folder / "ks.cfg").chmod(0o666)

    render.main(["rocky9-stig", "-o", str(output_folder), "--key", str(key)], standalone_mode=False)

    assert file_mode(output_folder) == 0o700
    assert {p.name: file_mode(p) for p in output_folder.iterdir()} == dict.fromkeys(
        ("ks.cfg", "build.yaml", "waivers.yaml", "layers.yaml", "exceptions.md"), 0o600
    )
    assert "--iscrypted --password=grub.pbkdf2" in (output_folder / "ks.cfg").read_text()


def test_signing_key_is_private_and_public_key_is_readable(tmp_path: Path) -> None:
    create_signer(tmp_path / "k.pem")

    assert file_mode(tmp_path / "k.pem") == 0o600
    assert file_mode(tmp_path / "k.pub") == 0o644


def _private_stage(folder: Path) -> CachedStage:
    return CachedStage(name="s", folder=folder, inputs={}, output_names=("out",), is_private=True)


class RecordingWork:
    def __init__(self, output: Path) -> None:
        self.output = output
        self.runs = 0

    def __call__(self, _note: object) -> StageResult:
        self.runs += 1
        self.output.write_text("made")
        self.output.chmod(0o644)
        return {}


def test_reused_output_becomes_private(tmp_path: Path) -> None:
    work = RecordingWork(tmp_path / "out")
    _private_stage(tmp_path).run(discard, work)
    assert file_mode(tmp_path / "out") == 0o600
    (tmp_path / "out").chmod(0o644)

    _private_stage(tmp_path).run(discard, work)

    assert file_mode(tmp_path / "out") == 0o600
    assert work.runs == 1


def test_output_of_another_user_is_not_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = RecordingWork(tmp_path / "out")
    _private_stage(tmp_path).run(discard, work)
    (tmp_path / "out").chmod(0o644)
    original_chmod = Path.chmod

    def raise_permission_error(path: Path, mode: int) -> None:
        if mode == PRIVATE_MODE and path.name == "out" and work.runs == 1:
            raise PermissionError
        original_chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", raise_permission_error)

    _private_stage(tmp_path).run(discard, work)

    assert work.runs == 2
    assert file_mode(tmp_path / "out") == 0o600


def test_stages_that_write_disks_are_private(tmp_path: Path) -> None:
    profile = load_profile("lab-stig")

    build_stages = (
        stages.iso_stage(profile, tmp_path, media_sha256=NONE, kickstart_text="x", boot_options=()),
        stages.install_stage(profile, tmp_path, iso_sha256=NONE),
        stages.layer_stage(
            profile, tmp_path, LAYERS["stig"], disk_sha256=NONE, content_sha256=NONE
        ),
        stages.sysprep_stage(profile, tmp_path, disk_sha256=NONE, public_key=""),
        stages.image_stage(profile, tmp_path, disk_sha256=NONE),
    )

    assert [(stage.name, stage.is_private) for stage in build_stages] == [
        ("iso", True),
        ("install", True),
        ("layer-stig", True),
        ("sysprep", True),
        ("image", True),
    ]
