"""QEMU's options for the network of a guest: isolated, except for SSH and the egress proxy."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.vm import egress_proxy

PROXY_URL = "http://10.0.2.100:3128"
"""URL of the egress proxy in the guest."""

WEB_SERVICE_URL = "http://10.0.2.101"
"""URL of the guest's ``VmSpec.web_service``."""


def network_option(
    *, ssh_port: int, endpoints_file: Path | None, web_service: Sequence[str] = ()
) -> str:
    """Return the value of ``-netdev``.

    ``ssh_port`` on 127.0.0.1 is forwarded to the guest's port 22, unless it is 0; the guest reaches
    what ``endpoints_file`` lists, unless it is None, and the program ``web_service``, unless it is
    empty.
    """
    # NOTE: restrict=on isolates the guest from the network, except for the forwards.
    option = "user,id=net,restrict=on"
    if ssh_port:
        option += f",hostfwd=tcp:127.0.0.1:{ssh_port}-:22"
    if endpoints_file is not None:
        program = [sys.executable, "-ISB", egress_proxy.__file__, str(endpoints_file)]
        option += _forward_option(PROXY_URL.removeprefix("http://"), program)
    if web_service:
        option += _forward_option(f"{WEB_SERVICE_URL.removeprefix('http://')}:80", web_service)
    return option


def _forward_option(address: str, program: Sequence[str]) -> str:
    # QEMU splits the command like a shell and starts it for each connection.
    return f",guestfwd=tcp:{address}-cmd:{shlex.join(program).replace(',', ',,')}"


def card_option(*, slot: int, mac_address: str) -> str:
    """Return the value of ``-device``; QEMU chooses a slot for 0 and an address for ''."""
    option = "virtio-net-pci,netdev=net,romfile="
    if mac_address:
        option += f",mac={mac_address}"
    return f"{option},addr={slot:#x}" if slot else option
