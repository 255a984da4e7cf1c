# SPDX-License-Identifier: GPL-2.0-or-later
"""NetworkManager profiles of the installed system, each bound to one interface.

Anaconda writes one for each ``network`` line with a device, in the installer, and copies
it (``pyanaconda/modules/network/nm_client.py`` and ``installation.py``).
"""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from .plan import NetworkDevice
from .process import SYSROOT, append_log, run

_NETWORK_DEVICES = Path("/sys/class/net")
_PROFILES = "etc/NetworkManager/system-connections"
_DRIVERS = ("virtio_net", "e1000", "e1000e", "r8169")
_LINK_TIMEOUT_S = 5.0


def render_profile(interface: str, connection_id: uuid.UUID, *, onboot: bool = True) -> str:
    """A keyfile that gets addresses by DHCP on this interface only."""
    autoconnect = "" if onboot else "autoconnect=false\n"
    return (
        f"[connection]\nid={interface}\nuuid={connection_id}\ntype=ethernet\n{autoconnect}"
        f"interface-name={interface}\n\n[ethernet]\n\n[ipv4]\nmethod=auto\n\n"
        "[ipv6]\naddr-gen-mode=eui64\nmethod=auto\n\n[proxy]\n"
    )


def choose_interface(
    device: str, interfaces: Sequence[str], linked: Sequence[str], addresses: dict[str, str]
) -> str | None:
    """The interface that a device of the kickstart is: a name, a MAC address, or ``link``.

    ``link`` is the first one with a carrier; without any, the first one of all.
    """
    if device in ("link", "bootif", "ibft"):
        return next(iter((*linked, *interfaces)), None)
    if device in interfaces:
        return device
    by_address = {address.lower(): name for name, address in addresses.items()}
    return by_address.get(device.lower())


def write_profiles(devices: Sequence[NetworkDevice], sys_net: Path = _NETWORK_DEVICES) -> None:
    """Write the profiles; a device that is not there gets none, as with Anaconda."""
    folder = SYSROOT / _PROFILES
    folder.mkdir(parents=True, exist_ok=True)
    _load_drivers()
    interfaces = sorted(p.name for p in sys_net.iterdir() if (p / "device").exists())
    addresses = {n: (sys_net / n / "address").read_text("utf-8").strip() for n in interfaces}
    linked = _find_linked(interfaces, sys_net)
    for device in devices:
        name = choose_interface(device.name, interfaces, linked, addresses)
        if name is None:
            append_log("anaconda", f"network: there is no device {device.name!r}")
            continue
        path = folder / f"{name}.nmconnection"
        path.write_text(render_profile(name, uuid.uuid4(), onboot=device.onboot), "utf-8")
        path.chmod(0o600)


def _load_drivers() -> None:
    """Let udev name the interfaces as the installed system's udev will."""
    run(["modprobe", "-qa", *_DRIVERS], timeout_s=60, ok=None)
    trigger = ["udevadm", "trigger", "--action=add", "--subsystem-match=net"]
    run(trigger, timeout_s=60, ok=None)
    run(["udevadm", "settle", "--timeout=30"], timeout_s=60, ok=None)


def _find_linked(interfaces: Sequence[str], sys_net: Path) -> list[str]:
    for name in interfaces:
        run(["ip", "link", "set", "dev", name, "up"], timeout_s=30, ok=None)
    end = time.monotonic() + _LINK_TIMEOUT_S
    linked: list[str] = []
    while interfaces and not linked and time.monotonic() < end:
        linked = [n for n in interfaces if _has_carrier(sys_net / n)]
        if not linked:
            time.sleep(0.2)
    return linked


def _has_carrier(interface: Path) -> bool:
    try:
        return (interface / "carrier").read_text("utf-8").strip() == "1"
    except OSError:  # the interface is down
        return False
