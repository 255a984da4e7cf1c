"""Identity of the target: one script, parsed into a ``ScannedHost``."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from hardpan.core import clock
from hardpan.core.errors import ToolError
from hardpan.core.events import Emit
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.scanners.collect.base import (
    SCE_PLUGIN,
    CollectedEvidence,
    Collector,
    CollectTask,
)
from hardpan.scanners.collect.job_count import choose_job_count, count_files
from hardpan.scanners.collect.packages import MAX_BYTES, QUERY, parse_packages
from hardpan.scanners.content.products import read_os_release
from hardpan.scanners.model.scan import ScannedHost
from hardpan.ssh.batch import BatchAnswers, run_batch
from hardpan.ssh.connection import Connection, HostKey

APPLICATION_ID = "9a1d6f0c5b7e4c0d8f3a2e61b84d7c95"
"""HMAC message for the machine id; equals ``systemd-id128 machine-id --app-specific``."""

_MAX_TEXT = 4096
_EPOCH_S = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_QUESTION_TIMEOUT_S = 120
_MAX_ANSWERS_BYTES = MAX_BYTES + (1 << 20)
_PACKAGES = "packages"
_CLOCK = "clock"
_PROCESSORS, _MEMORY, _INODES = "processors", "memory", "inodes"
_OSCAP = "oscap"
_SCRIPT_ENGINE = re.compile(r"^SCE Version: ", re.MULTILINE)
_MISSING_PROGRAM = re.compile(r"^missing ([a-z]{1,10})$", re.MULTILINE)
_SCRIPT_PROGRAMS = "awk bash find findmnt grep paste"
"""Without one of them, the content's scripts search nothing and pass."""

_WITHHELD = ("machine_id", "product_uuid")
"""Answers of which only a digest leaves the scanner."""
QUESTIONS = {
    _CLOCK: "date -u +%s",
    "hostname": "cat /proc/sys/kernel/hostname",
    "machine_id": "cat /etc/machine-id || cat /var/lib/dbus/machine-id",
    "product_uuid": "cat /sys/class/dmi/id/product_uuid",
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
    "os_release": "cat /etc/os-release || cat /usr/lib/os-release",
    "kernel": "uname -r",
    "cmdline": "cat /proc/cmdline",
    "fips": "cat /proc/sys/crypto/fips_enabled",
    "virtualization": "systemd-detect-virt || { [ -e /.dockerenv ] && echo docker; } || "
    "{ [ -e /run/.containerenv ] && echo podman; }",
    _PROCESSORS: "nproc",
    _MEMORY: "cat /proc/meminfo",
    _INODES: "df -Pil",
    _OSCAP: f"for p in {_SCRIPT_PROGRAMS}; do "
    'command -v "$p" >/dev/null 2>&1 || echo "missing $p"; done; oscap --version',
    _PACKAGES: QUERY,
}


class HostIdentity(Collector):
    """Collects the host's identity and system, packages included."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Collect the host, and its packages, in one round trip.

        Raises:
            ToolError: the target does not report its system, or an answer cannot be read.
        """
        before = clock.now()
        batch_answers = run_batch(
            connection,
            QUESTIONS,
            limit_s=lambda _: _QUESTION_TIMEOUT_S,
            timeout_s=timeout_s,
            max_text=MAX_BYTES,
            max_bytes=_MAX_ANSWERS_BYTES,
        )
        task.answer_log.add_batch(QUESTIONS, batch_answers, withheld=_WITHHELD)
        answer_by_name = extract_answers(batch_answers)
        difference_s = measure_clock_difference(answer_by_name.get(_CLOCK, ""), before, clock.now())
        release = parse_os_release(answer_by_name.get("os_release", ""))
        os_release = read_os_release(release)
        packages = _list_packages(answer_by_name.get(_PACKAGES, ""), os_release.distro)
        return CollectedEvidence(
            host=replace(
                build_host(answer_by_name, release, connection.host_key, packages),
                clock_difference_s=difference_s,
            ),
            release=os_release,
            packages=packages,
            job_count=choose_job_count(
                answer_by_name.get(_PROCESSORS, ""), answer_by_name.get(_MEMORY, "")
            ),
            file_count=count_files(answer_by_name.get(_INODES, "")),
            missing_for_scripts=_find_missing(answer_by_name.get(_OSCAP, "")),
        )


def extract_answers(batch_answers: BatchAnswers) -> dict[str, str]:
    """Return the answers by name.

    Raises:
        ToolError: one is refused: the host's identity must be unambiguous. The package list is
            read again as a part of its own, which reports its failure.
    """
    refused = {n: reason for n, reason in batch_answers.refused.items() if n != _PACKAGES}
    if refused:
        name, reason = min(refused.items())
        raise ToolError([f"the target's answer to {name!r}"], reason)
    return {name: answer.output.strip() for name, answer in batch_answers.answers.items()}


def build_host(
    answer_by_name: Mapping[str, str],
    release: Mapping[str, str],
    key: HostKey,
    packages: tuple[str, ...],
) -> ScannedHost:
    """Build a ``ScannedHost`` from the answers and the fields of os-release.

    A host without os-release is a Linux without a name, as os-release(5) defines the default.
    """
    os_id = release.get("ID", "linux")
    uuid = answer_by_name.get("product_uuid", "").lower()
    return ScannedHost(
        hostname=_sanitize(answer_by_name.get("hostname", "")),
        host_key_type=key.kind,
        host_key_sha256=key.fingerprint,
        host_key_trust=key.trust,
        machine_id_hmac=derive_machine_id_hmac(answer_by_name.get("machine_id", "")),
        product_uuid_sha256=sha256_bytes(uuid.encode()) if uuid else "",
        boot_id=_sanitize(answer_by_name.get("boot_id", "")),
        os_id=_sanitize(os_id),
        os_version=_sanitize(release.get("VERSION_ID", "")),
        os_name=_sanitize(release.get("PRETTY_NAME", os_id)),
        platform_id=_sanitize(release.get("PLATFORM_ID", "")),
        cpe=_sanitize(release.get("CPE_NAME", "")),
        kernel=_sanitize(answer_by_name.get("kernel", "")),
        cmdline=_sanitize(answer_by_name.get("cmdline", "")),
        fips_kernel_flag=answer_by_name.get("fips", "") == "1",
        packages_sha256=digest_packages(packages),
        virtualization=_sanitize(answer_by_name.get("virtualization", "")),
    )


def measure_clock_difference(answer: str, before: datetime, after: datetime) -> int | None:
    """Return how far the target's clock is from the scanner's, in seconds; None without an answer.

    ``answer`` is its time since 1970 at some moment between ``before`` and ``after``.
    """
    if not _EPOCH_S.fullmatch(answer):
        return None
    target_s, before_s, after_s = int(answer), int(before.timestamp()), int(after.timestamp())
    return target_s - min(max(target_s, before_s), after_s)


def _list_packages(answer: str, distro: str) -> tuple[str, ...]:
    """Return the packages; none if the answer is unusable, which the package part reports."""
    try:
        return parse_packages(answer, distro=distro).packages
    except ToolError:
        return ()


def _find_missing(answer: str) -> tuple[str, ...]:
    """Return what the target lacks for script checks: the plugin, programs, or nothing."""
    plugin = () if _SCRIPT_ENGINE.search(answer) else (SCE_PLUGIN,)
    missing_programs = _MISSING_PROGRAM.findall(answer)
    return (*plugin, *(p for p in _SCRIPT_PROGRAMS.split() if p in missing_programs))


def derive_machine_id_hmac(machine_id: str) -> str:
    """Return the id that ``sd_id128_get_machine_app_specific`` computes; empty without machine id.

    HMAC-SHA256 keyed with the machine id over the application id, truncated to 128 bits
    and marked as a version 4 UUID. It does not reveal the machine id.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", machine_id):
        return ""
    full = hmac.new(bytes.fromhex(machine_id), bytes.fromhex(APPLICATION_ID), hashlib.sha256)
    cut = bytearray(full.digest()[:16])
    cut[6] = (cut[6] & 0x0F) | 0x40
    cut[8] = (cut[8] & 0x3F) | 0x80
    return cut.hex()


def digest_packages(packages: tuple[str, ...]) -> Sha256:
    """Return the digest of the sorted list, one package per line."""
    return sha256_bytes("".join(p + "\n" for p in packages).encode())


def parse_os_release(text: str) -> dict[str, str]:
    """Parse os-release(5) into a dict, without quotes."""
    values_by_key = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            values_by_key[key] = re.sub(r"^(['\"])(.*)\1$", r"\2", value.strip())
    return values_by_key


def _sanitize(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:_MAX_TEXT]
