"""Every option and reference that names a file with a secret refuses one that others can read."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from hardpan import cli
from hardpan.cli.render import render
from hardpan.core import secret_files
from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.signing import PassphraseSource, create_signer, load_pq_signer, load_signer, pkcs11
from hardpan.ssh import target
from hardpan.workflow.keyring import find_operator_key
from hardpan.workflow.request import BuildRequest

Read = Callable[[Path, Path], object]
"""Reads the file (first argument) as the option does; the second is an empty folder."""


def _read_build_passphrase(path: Path, folder: Path) -> object:
    profile = load_profile("lab-stig")
    return BuildRequest(
        profile=profile, output_folder=folder, cache_folder=folder, luks_passphrase_file=path
    ).read_luks_passphrase()


def _read_render_passphrase(path: Path, folder: Path) -> object:
    argv = ["rocky9-stig", "-o", str(folder / "out"), "--luks-passphrase-file", str(path)]
    return render.main(argv, standalone_mode=False)


def _load_encrypted_key(path: Path, folder: Path) -> object:
    passphrase_file = folder / "right"
    passphrase_file.touch(mode=0o600)
    passphrase_file.write_text("correct horse")
    create_signer(folder / "locked.pem", passphrase_file=passphrase_file)
    return load_signer(folder / "locked.pem", passphrase_file=path)


def _read_pin(path: Path, _folder: Path) -> object:
    uri = f"pkcs11:token=t;object=k?module-path={__file__}&pin-source=file:{path}"
    return pkcs11._read_pin(pkcs11.parse_uri(uri), PassphraseSource())


READERS: dict[str, Read] = {
    "build --luks-passphrase-file": _read_build_passphrase,
    "render --luks-passphrase-file": _read_render_passphrase,
    "--passphrase-file": _load_encrypted_key,
    "--passphrase-file of a token or TPM": lambda p, _: PassphraseSource(file=p).read("PIN"),
    "keys new --passphrase-file": lambda p, d: create_signer(d / "k.pem", passphrase_file=p),
    "pin-source": _read_pin,
    "--key": lambda p, _: load_signer(p),
    "--key openssl:": lambda p, _: load_signer(f"openssl:{p}"),
    "--pq-key": lambda p, _: load_pq_signer(p),
    "--ssh-key": lambda p, d: find_operator_key("steward", p, d),
    "--identity": lambda p, _: target.parse_target("me@host", identity=p),
}

SECRET_OPTIONS = {
    *("--luks-passphrase-file", "--passphrase-file", "--pq-passphrase-file"),
    *("--key", "--pq-key", "--build-key", "--ssh-key", "--identity"),
}
"""Options whose value is, or names, a file with a secret; ``READERS`` has what reads each."""

PUBLIC_OPTIONS = {
    "--checksum-key",  # a public key
    "--host-key",  # a public key
    "--keys",  # a folder, whose files are read as those of --key
    "--passphrase-env",  # a variable
    "--pq-passphrase-env",
    "--repo-key",  # a public key
}


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("correct-horse-battery\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_file_readable_by_others_is_rejected(
    tmp_path: Path, secret_file: Path, read: Read, mode: int
) -> None:
    (tmp_path / "folder").mkdir()
    secret_file.chmod(mode)

    with pytest.raises(InputError) as caught:
        read(secret_file, tmp_path / "folder")

    problem = f"secret: is readable by group or others: expected mode 0600, got {mode:04o}"
    assert problem in str(caught.value)
    assert f"chmod 600 {secret_file}" in caught.value.hint


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_link_to_file_readable_by_others_is_rejected(
    tmp_path: Path, secret_file: Path, read: Read
) -> None:
    (tmp_path / "folder").mkdir()
    secret_file.chmod(0o644)
    (tmp_path / "link").symlink_to(secret_file)

    with pytest.raises(InputError, match="link: is readable by group or others"):
        read(tmp_path / "link", tmp_path / "folder")


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_file_of_another_user_is_rejected(
    tmp_path: Path, secret_file: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    if (
        read is _load_encrypted_key
    ):  # the key itself is this user's: what is refused is the passphrase
        read = READERS["--passphrase-file of a token or TPM"]
    owner = os.geteuid()
    monkeypatch.setattr(secret_files, "_ROOT_UID", -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(InputError, match="secret: belongs to another user, who can read it"):
        read(secret_file, tmp_path / "folder")


def test_every_secret_option_has_a_reader() -> None:
    names = {
        name
        for command in _all_commands()
        for option in command.params
        if isinstance(option, click.Option) and not option.is_flag
        for name in option.opts
        if re.search(r"pass|secret|pin|identit|key|token|credential", name)
    }

    assert names == SECRET_OPTIONS | PUBLIC_OPTIONS


def _all_commands() -> Iterator[click.Command]:
    with cli.root.make_context("hardpan", ["profiles"]) as context:
        pending = [cli.root.get_command(context, name) for name in cli.COMMANDS]
    for command in pending:  # grows while it is walked
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            pending += command.commands.values()
