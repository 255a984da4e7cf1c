"""QEMU's options for the network of a guest: isolated, except for SSH and the egress proxy."""

import shlex
import sys
from pathlib import Path

from hardpan.builder.vm import egress_proxy

PROXY_URL = "http://10.0.2.100:3128"
"""URL of the egress proxy in the guest."""


def network_option(*, ssh_port: int, endpoints_file: Path | None) -> str:
    """Return the value of ``-netdev``.

    ``ssh_port`` on 127.0.0.1 is forwarded to the guest's port 22, unless it is 0; the guest reaches
    what ``endpoints_file`` lists, unless it is None.
    """
    # NOTE: restrict=on isolates the guest from the network, except for the forwards.
    option = "user,id=net,restrict=on"
    if ssh_port:
        option += f",hostfwd=tcp:127.0.0.1:{ssh_port}-:22"
    if endpoints_file is not None:
        # QEMU splits it like a shell and starts it for each connection.
        program = [sys.executable, "-ISB", egress_proxy.__file__, str(endpoints_file)]
        proxy_address = PROXY_URL.removeprefix("http://")
        option += f",guestfwd=tcp:{proxy_address}-cmd:{shlex.join(program).replace(',', ',,')}"
    return option


def card_option(*, slot: int, mac_address: str) -> str:
    """Return the value of ``-device``; QEMU chooses a slot for 0 and an address for ''."""
    option = "virtio-net-pci,netdev=net,romfile="
    if mac_address:
        option += f",mac={mac_address}"
    return f"{option},addr={slot:#x}" if slot else option
