"""Two machines that are started from one finished image share nothing that identifies a machine."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from hardpan.core.files import sha256_file
from tests.integration.finished_image import (
    booted,
    connected,
    find_access,
    find_image,
    make_spec,
    read,
)

pytestmark = [pytest.mark.integration, pytest.mark.system]

IDENTITY = {
    "machine id": "cat /etc/machine-id",
    "SSH host keys": "cut -d ' ' -f 2 /etc/ssh/ssh_host_*_key.pub",
    "random seed": "sha256sum < /var/lib/systemd/random-seed",
    "secret of NetworkManager": "sha256sum < /var/lib/NetworkManager/secret_key",
    "DHCP client id": "nmcli --terse --fields DHCP4 device show | grep dhcp_client_identifier",
}
"""What identifies a machine -> the command that prints it."""

NETWORK = "ip -o -4 route get 10.0.2.2 | sed 's/.* dev \\([^ ]*\\).*/\\1/'"
MACHINES = {
    "first": {"mac_address": "52:54:00:aa:00:01"},
    "second": {"mac_address": "52:54:00:bb:00:02", "network_slot": 0x1D},
}
"""Other cards than the build's: another address, and for the second machine another slot."""


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """Machine -> what identifies it, and the name of its network card; each booted once."""
    image, access = find_image(), find_access()
    digest = sha256_file(image)
    values: dict[str, dict[str, str]] = {}
    for name, card in MACHINES.items():
        folder = tmp_path_factory.mktemp(name)
        spec = make_spec(image, **card)
        with booted(spec, access, folder) as guest, connected(guest) as connection:
            commands = {**IDENTITY, "card": NETWORK, "failed units": "systemctl --failed -q"}
            values[name] = {key: read(connection, text) for key, text in commands.items()}
            values[name]["pinned keys"] = "\n".join(guest.host_keys)
    assert sha256_file(image) == digest
    return values


@pytest.mark.parametrize("name", [*IDENTITY, "pinned keys"])
def test_machines_from_the_same_image_differ(
    identities: Mapping[str, Mapping[str, str]], name: str
) -> None:
    first, second = identities["first"][name], identities["second"][name]

    assert first
    assert second
    assert set(first.splitlines()).isdisjoint(second.splitlines())


def test_network_comes_up_on_another_card(
    identities: Mapping[str, Mapping[str, str]], tmp_path: Path
) -> None:
    """SSH answered on both; the second card has another name than the build's."""
    first, second = identities["first"]["card"], identities["second"]["card"]

    assert first
    assert second
    assert first != second
