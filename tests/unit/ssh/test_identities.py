"""Which keys are tried, and in which order."""

import dataclasses
from pathlib import Path

import pytest

from hardpan.ssh.agent import AgentKey
from hardpan.ssh.client_settings import ClientSettings
from hardpan.ssh.identities import list_identities
from hardpan.ssh.public_key_blob import parse_public_key
from hardpan.ssh.target import Target

FIRST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o"
SECOND = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM42iTIT2Y3LJvrSICkQzJZK2RuG4afMWg0EEghz0skE"
THIRD = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


def agent_key(line: str, comment: str) -> AgentKey:
    return AgentKey(parse_public_key(line), comment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, line in {"first": FIRST, "second": SECOND}.items():
        key = tmp_path / name
        key.write_text("-----BEGIN RSA PRIVATE KEY-----\n")
        key.chmod(0o600)
        (tmp_path / f"{name}.pub").write_text(f"{line} me@here\n")
    return tmp_path


def target(folder: Path, *names: str, **values: object) -> Target:
    files = tuple(folder / name for name in names)
    settings = dataclasses.replace(ClientSettings(identity_files=files), **values)
    return Target(host="h", user="u", settings=settings)


def names(result: tuple[object, object]) -> list[str]:
    identities, _ = result
    assert isinstance(identities, tuple)
    return [Path(identity.name).name for identity in identities]


def test_keys_are_in_the_order_of_openssh(folder: Path) -> None:
    keys = [agent_key(THIRD, "third"), agent_key(SECOND, "second")]

    result = list_identities(target(folder, "first", "second", "missing"), keys)

    assert names(result) == ["second (agent)", "third (agent)", "first"]


def test_identities_only_leaves_other_keys_of_the_agent_out(folder: Path) -> None:
    keys = [agent_key(THIRD, "third"), agent_key(SECOND, "second")]

    result = list_identities(target(folder, "first", "second", identities_only=True), keys)

    assert names(result) == ["second (agent)", "first"]


def test_explicit_identity_is_the_only_key(folder: Path) -> None:
    explicit = dataclasses.replace(target(folder, "first"), identity=folder / "second")

    assert names(list_identities(explicit, [agent_key(THIRD, "third")])) == ["second"]
    assert names(list_identities(explicit, [agent_key(SECOND, "x")])) == ["x (agent)"]


def test_public_key_file_names_a_key_of_the_agent(folder: Path) -> None:
    result = list_identities(
        target(folder, "second.pub", identities_only=True), [agent_key(SECOND, "second")]
    )

    assert names(result) == ["second (agent)"]


def test_unusable_file_is_skipped_with_its_reason(folder: Path) -> None:
    (folder / "open").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    (folder / "open").chmod(0o640)

    identities, skipped = list_identities(target(folder, "open", "missing"), [])

    assert identities == ()
    assert skipped == (f"{folder}/open is accessible to group or others (mode 0640)",)


@pytest.mark.parametrize(
    ("algorithms", "expected"),
    [
        ((), ["first", "second"]),
        (("ssh-ed25519",), ["first", "second"]),
        (("rsa-sha2-512",), []),
        (("ssh-ed25519-cert-v01@openssh.com",), []),
    ],
)
def test_accepted_algorithms_select_keys(
    folder: Path, algorithms: tuple[str, ...], expected: list[str]
) -> None:
    result = list_identities(target(folder, "first", "second", user_key_algorithms=algorithms), [])

    assert names(result) == expected
