"""The specification of a virtual machine, and QEMU's command line for it."""

from dataclasses import dataclass, field
from pathlib import Path

from hardpan.builder.vm import devices, firmware, network
from hardpan.builder.vm.devices import BootDevice, DiskBus, ImageFormat
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.builder.vm.firmware import escape_option
from hardpan.builder.vm.probe import QEMU, Acceleration, find_qemu
from hardpan.core.identifiers import INSTALL_PORT
from hardpan.profiles.schema.machine import FirmwareKind

SERIAL_SOCKET = "serial"
"""Name of the socket that types on the serial console."""

ENDPOINTS_FILE = "allowed-endpoints.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    """Specification of a virtual machine."""

    disk: Path
    """Writable qcow2 disk."""

    vcpus: int
    memory_mib: int
    firmware: FirmwareKind
    """Each start begins with the firmware package's variables."""

    disk_bus: DiskBus = "virtio-blk"
    has_empty_first_disk: bool = False
    """Attach an empty disk before ``disk``, which is then e.g. sdb instead of sda."""

    tpm_state: Path | None = None
    """Folder of the memory of a TPM 2.0; None for a guest without TPM."""

    cdrom: Path | None = None
    cdrom_format: ImageFormat = "raw"
    """``qcow2`` for an overlay of an ISO."""

    boot_device: BootDevice = "disk"
    """First boot device. With ``usb`` the ISO is attached both as a USB disk and as a CD, for
    kernels without USB drivers such as the lab's."""

    installer_log: Path | None = None
    """File for the logs that Anaconda forwards; None for a guest that is no installer."""

    ssh_port: int = 0
    """Port on 127.0.0.1 forwarded to the guest's port 22; 0 for none."""

    disk_passphrase: str = field(default="", repr=False)
    """Typed on the serial console when the guest asks for the passphrase of its disk."""

    has_install_port: bool = True
    """False for a guest that shall not see that hardpan builds or scans it."""

    has_network: bool = True
    """False for a guest without a network card, as a machine that nobody has connected."""

    network_slot: int = 0
    """PCI slot of the network card, which decides its name in the guest; 0 for QEMU's choice."""

    mac_address: str = ""
    """Address of the network card; empty for QEMU's default."""

    web_service: tuple[str, ...] = ()
    """Program that answers each connection of the guest to 10.0.2.101:80, on its stdin and stdout;
    the only way out of the guest besides the proxy."""

    allowed_endpoints: tuple[Endpoint, ...] = ()
    """Endpoints that the guest can reach through the egress proxy; without any it has no proxy."""


def qemu_arguments(spec: VmSpec, acceleration: Acceleration, workdir: Path, log: Path) -> list[str]:
    """Return the command line of QEMU, without firmware and TPM.

    Its sockets and the output of the virtio port are in ``workdir``.
    """
    argv = [
        *(str(find_qemu() or QEMU), "-machine", "q35", *acceleration.arguments),
        *("-smp", str(spec.vcpus), "-m", str(spec.memory_mib)),
        *("-nodefaults", "-display", "none", "-vga", "std", "-action", "panic=none"),
        # Paused until the QMP connection is open: a guest may power off immediately.
        "-S",
        *("-qmp", f"unix:{escape_option(workdir / 'qmp')},server=on,wait=off"),
        *devices.serial_arguments(log, workdir / SERIAL_SOCKET if spec.disk_passphrase else None),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"file,id=port,path={escape_option(workdir / 'port')}"),
        *("-device", "virtio-rng-pci", "-device", "pvpanic-pci"),
    ]
    if spec.has_install_port:
        argv += ["-device", f"virtserialport,chardev=port,name={INSTALL_PORT}"]
    # NOTE: where shim finds a TPM and no boot entry of the system, it writes one and resets.
    if spec.tpm_state is None or spec.firmware == "bios":
        argv.append("-no-reboot")
    argv += devices.disk_arguments(
        spec.disk,
        spec.disk_bus,
        boot_index=devices.boot_index(spec.boot_device, "disk"),
        empty_disk=workdir / "empty.raw" if spec.has_empty_first_disk else None,
    )
    argv += _network_arguments(spec, workdir)
    return argv + devices.cdrom_arguments(spec.cdrom, spec.boot_device, spec.cdrom_format)


def _network_arguments(spec: VmSpec, workdir: Path) -> list[str]:
    if not spec.has_network:
        return ["-nic", "none"]
    endpoints_file = workdir / ENDPOINTS_FILE if spec.allowed_endpoints else None
    option = network.network_option(
        ssh_port=spec.ssh_port, endpoints_file=endpoints_file, web_service=spec.web_service
    )
    card = network.card_option(slot=spec.network_slot, mac_address=spec.mac_address)
    return ["-netdev", option, "-device", card]


def uefi_arguments(spec: VmSpec, workdir: Path) -> list[str]:
    """Return the options of the firmware; its variables are a copy in ``workdir``.

    Raises:
        ToolError: the firmware is missing.
    """
    if spec.firmware == "bios":
        return []
    uefi = firmware.require_firmware(spec.firmware)
    variables = workdir / "vars.fd"
    variables.write_bytes(uefi.variables.read_bytes())
    return firmware.firmware_arguments(uefi, variables)
