"""Every option and reference that names a file with a secret refuses one that others can read."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from hardpan import cli, secret_files
from hardpan.builder.commands.render import render
from hardpan.errors import InputError
from hardpan.profiles.load import load
from hardpan.prove.asked import Asked
from hardpan.prove.keyring import operator_there
from hardpan.scanners import target
from hardpan.signing import Unlock, load_pq_signer, load_signer, new_signer, pkcs11

Read = Callable[[Path, Path], object]
"""Reads the file (first argument) as the option does; the second is an empty folder."""


def _build(path: Path, folder: Path) -> object:
    profile = load("lab-stig")
    return Asked(profile=profile, out=folder, cache=folder, luks_passphrase_file=path).passphrase()


def _render(path: Path, folder: Path) -> object:
    argv = ["rocky9-stig", "-o", str(folder / "out"), "--luks-passphrase-file", str(path)]
    return render.main(argv, standalone_mode=False)


def _locked(path: Path, folder: Path) -> object:
    phrase = folder / "right"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse")
    new_signer(folder / "locked.pem", passphrase_file=phrase)
    return load_signer(folder / "locked.pem", passphrase_file=path)


def _pin(path: Path, _folder: Path) -> object:
    uri = f"pkcs11:token=t;object=k?module-path={__file__}&pin-source=file:{path}"
    return pkcs11._pin(pkcs11.parse(uri), Unlock())


def _ssh_config(path: Path, folder: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        settings = target.settings(f"user me\nidentityfile {path}\n")
        patch.setattr(target, "_settings", lambda *_: settings)
        return target.parse("me@host", ssh_config=folder / "config")


READERS: dict[str, Read] = {
    "build --luks-passphrase-file": _build,
    "render --luks-passphrase-file": _render,
    "--passphrase-file": _locked,
    "--passphrase-file of a token or TPM": lambda p, _: Unlock(file=p).secret("PIN"),
    "keys new --passphrase-file": lambda p, d: new_signer(d / "k.pem", passphrase_file=p),
    "pin-source": _pin,
    "--key": lambda p, _: load_signer(p),
    "--key openssl:": lambda p, _: load_signer(f"openssl:{p}"),
    "--pq-key": lambda p, _: load_pq_signer(p),
    "--ssh-key": lambda p, d: operator_there("steward", p, d),
    "--identity": lambda p, _: target.parse("me@host", identity=p),
    "IdentityFile of --ssh-config": _ssh_config,
}

SECRET = {
    *("--luks-passphrase-file", "--passphrase-file", "--pq-passphrase-file"),
    *("--key", "--pq-key", "--build-key", "--ssh-key", "--identity"),
}
"""Options whose value is, or names, a file with a secret; ``READERS`` has what reads each."""

NOT_SECRET = {
    "--host-key",  # a public key
    "--keys",  # a folder, whose files are read as those of --key
    "--passphrase-env",  # a variable
    "--pq-passphrase-env",
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("correct-horse-battery\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_file_that_others_can_read_is_refused(
    tmp_path: Path, secret: Path, read: Read, mode: int
) -> None:
    (tmp_path / "folder").mkdir()
    secret.chmod(mode)

    with pytest.raises(InputError) as caught:
        read(secret, tmp_path / "folder")

    said = f"secret: is readable by group or others: expected mode 0600, got {mode:04o}"
    assert said in str(caught.value)
    assert f"chmod 600 {secret}" in caught.value.hint


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_link_to_a_file_that_others_can_read_is_refused(
    tmp_path: Path, secret: Path, read: Read
) -> None:
    (tmp_path / "folder").mkdir()
    secret.chmod(0o644)
    (tmp_path / "link").symlink_to(secret)

    with pytest.raises(InputError, match="link: is readable by group or others"):
        read(tmp_path / "link", tmp_path / "folder")


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_file_of_another_user_is_refused(
    tmp_path: Path, secret: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    if read is _locked:  # the key itself is this user's: what is refused is the passphrase
        read = READERS["--passphrase-file of a token or TPM"]
    owner = os.geteuid()
    monkeypatch.setattr(secret_files, "_ROOT_UID", -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(InputError, match="secret: belongs to another user, who can read it"):
        read(secret, tmp_path / "folder")


def test_every_option_that_may_name_a_secret_is_among_the_readers() -> None:
    names = {
        name
        for command in _commands()
        for option in command.params
        if isinstance(option, click.Option) and not option.is_flag
        for name in option.opts
        if re.search(r"pass|secret|pin|identit|key|token|credential", name)
    }

    assert names == SECRET | NOT_SECRET


def _commands() -> Iterator[click.Command]:
    with cli.root.make_context("hardpan", ["profiles"]) as context:
        todo = [cli.root.get_command(context, name) for name in cli.VERBS]
    for command in todo:  # grows while it is walked
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            todo += command.commands.values()
