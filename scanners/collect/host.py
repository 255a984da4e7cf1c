"""Who the target is: one batched script, and what it says made into a ``Host``."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from hardpan.errors import ToolError
from hardpan.events import Emit
from hardpan.files import Sha256, sha256_bytes
from hardpan.scanners.collect import batch
from hardpan.scanners.collect.base import Evidence, Task
from hardpan.scanners.collect.packages import MAX_BYTES, QUERY, nevras
from hardpan.scanners.model import Host
from hardpan.scanners.transport import HostKey, Transport

APPLICATION_ID = "9a1d6f0c5b7e4c0d8f3a2e61b84d7c95"
"""What the machine id is hashed with; ``systemd-id128 machine-id --app-specific`` agrees."""

_MAX_TEXT = 4096
_EACH_S = 120
_MAX_ANSWERS = MAX_BYTES + (1 << 20)
QUESTIONS = {
    "hostname": "cat /proc/sys/kernel/hostname",
    "machine_id": "cat /etc/machine-id",
    "product_uuid": "cat /sys/class/dmi/id/product_uuid",
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
    "os_release": "cat /etc/os-release || cat /usr/lib/os-release",
    "kernel": "uname -r",
    "cmdline": "cat /proc/cmdline",
    "fips": "cat /proc/sys/crypto/fips_enabled",
    "virtualization": "systemd-detect-virt",
    "packages": QUERY,
}


class HostIdentity:
    """Reads the host's identity and what it runs, packages included."""

    def collect(self, via: Transport, task: Task, *, timeout_s: float, emit: Emit) -> Evidence:
        """The host, and its packages, from one round trip.

        Raises:
            ToolError: the target does not say what system it is, or an answer cannot be read.
        """
        mark = f"@@hardpan-{secrets.token_hex(8)}"
        asked = batch.script(QUESTIONS, mark, limit_s=lambda _: _EACH_S, max_text=MAX_BYTES)
        output = via.run(asked, timeout_s=timeout_s, sudo=True, max_bytes=_MAX_ANSWERS)
        found = answers(output.stdout, mark)
        packages = nevras(found.get("packages", ""))
        return Evidence(host=host(found, via.host_key, packages), packages=packages)


def answers(text: str, mark: str) -> dict[str, str]:
    """The answers by name.

    Raises:
        ToolError: one is refused: who the host is must not be open to doubt.
    """
    found = batch.read(text, mark, QUESTIONS, max_text=MAX_BYTES)
    if found.refused:
        name, why = min(found.refused.items())
        raise ToolError([f"the target's answer to {name!r}"], why)
    return {name: answer.text.strip() for name, answer in found.answers.items()}


def host(found: Mapping[str, str], key: HostKey, packages: tuple[str, ...]) -> Host:
    """What the sections say, as a ``Host``.

    Raises:
        ToolError: there is no os-release.
    """
    release = os_release(found.get("os_release", ""))
    if "ID" not in release:
        raise ToolError(["/etc/os-release"], "on the target does not say what system it is")
    uuid = found.get("product_uuid", "").lower()
    return Host(
        hostname=_plain(found.get("hostname", "")),
        host_key_type=key.kind,
        host_key_sha256=key.fingerprint,
        host_key_trust=key.trust,
        machine_id_hmac=app_specific(found.get("machine_id", "")),
        product_uuid_sha256=sha256_bytes(uuid.encode()) if uuid else "",
        boot_id=_plain(found.get("boot_id", "")),
        os_id=_plain(release["ID"]),
        os_version=_plain(release.get("VERSION_ID", "")),
        os_name=_plain(release.get("PRETTY_NAME", release["ID"])),
        platform_id=_plain(release.get("PLATFORM_ID", "")),
        cpe=_plain(release.get("CPE_NAME", "")),
        kernel=_plain(found.get("kernel", "")),
        cmdline=_plain(found.get("cmdline", "")),
        fips_kernel_flag=found.get("fips", "") == "1",
        packages_sha256=packages_digest(packages),
        virtualization=_plain(found.get("virtualization", "")),
    )


def app_specific(machine_id: str) -> str:
    """The id that ``sd_id128_get_machine_app_specific`` makes; empty for no machine id.

    HMAC-SHA256 keyed with the machine id over the application id, cut to 128 bits
    and marked as a version 4 UUID. The machine id cannot be had back from it.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", machine_id):
        return ""
    full = hmac.new(bytes.fromhex(machine_id), bytes.fromhex(APPLICATION_ID), hashlib.sha256)
    cut = bytearray(full.digest()[:16])
    cut[6] = (cut[6] & 0x0F) | 0x40
    cut[8] = (cut[8] & 0x3F) | 0x80
    return cut.hex()


def packages_digest(packages: tuple[str, ...]) -> Sha256:
    """Digest of the sorted list, one a line."""
    return sha256_bytes("".join(p + "\n" for p in packages).encode())


def os_release(text: str) -> dict[str, str]:
    """os-release(5) as a dict, quotes taken off."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            found[key] = re.sub(r"^(['\"])(.*)\1$", r"\2", value.strip())
    return found


def _plain(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:_MAX_TEXT]
