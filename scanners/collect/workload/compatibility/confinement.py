"""The AI service's confinement: its unit's user and settings, applied to a probe process."""

import contextlib
import grp
import json
import os
import pwd
import secrets
import shlex
import subprocess
import threading
from typing import Any, Dict, List, Optional, Tuple

from .probes import parse_output
from .tools import MAX_BYTES, ProbeResult, kill_process_group, sanitize_line

PORTS = {"hardpan-llm.service": 8081, "hardpan-kb.service": 8082, "hardpan-login.service": 8083}
"""The AI services and their ports on the loopback."""

UNITS = tuple(PORTS)
"""The AI services; the confinement of the first one is used."""

_COPIED_SETTINGS = [
    "AmbientCapabilities",
    "BindPaths",
    "BindReadOnlyPaths",
    "CapabilityBoundingSet",
    "DevicePolicy",
    "IPAddressAllow",
    "IPAddressDeny",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "KeyringMode",
    "LimitMEMLOCK",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SupplementaryGroups",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "TemporaryFileSystem",
    "UMask",
    "UnsetEnvironment",
]
"""Settings that systemctl prints in the form that systemd-run accepts.

Not RemoveIPC: at the probe's end it would remove shared memory of the service itself.
"""

_VALID_IF_EMPTY = ("CapabilityBoundingSet",)
_FOLDERS = {
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
}
_DEFAULT_SETTINGS = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "LimitMEMLOCK": "infinity",
    "CapabilityBoundingSet": "",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures": "native",
    "ReadWritePaths": "-/var/lib/ai",
}
"""For a host without the units: the settings of hardpan's own units."""

_DEFAULT_USER = "ai"
_ENVIRONMENT = "/etc/hardpan/ai.env"


class Confinement:
    """User and sandbox settings of the service."""

    def __init__(self, units: Dict[str, Dict[str, List[str]]]) -> None:
        settings = units.get(UNITS[0], {})
        self.unit = UNITS[0] if settings.get("LoadState") == ["loaded"] else ""
        self.user = (settings.get("User") or [""])[0] if self.unit else _DEFAULT_USER
        self.user = self.user or "root"
        unit_properties = (
            _read_unit_properties(settings) if self.unit else list(_DEFAULT_SETTINGS.items())
        )
        self.properties = [_add_netlink(*p) for p in unit_properties]
        self.is_widened = self.properties != unit_properties

    def find_user(self) -> Optional[pwd.struct_passwd]:
        """Return the service's user; None if it does not exist, or is root."""
        try:
            entry = pwd.getpwnam(self.user)
        except KeyError:
            return None
        return entry if entry.pw_uid else None

    def describe(self) -> str:
        """Describe the confinement for the evidence."""
        names = " ".join(sorted({n for n, v in self.properties if v not in ("", "no")}))
        source = f"of {self.unit}" if self.unit else "hardpan's default, no AI unit exists"
        note = "; AF_NETLINK added, which gloo needs to list interfaces" if self.is_widened else ""
        return f"{source}{note}; user {self.user}; {names}"

    def build_command(self, python: str, boot: str, limit_s: float) -> Tuple[str, List[str]]:
        """Return the name of a transient unit, and the argv that starts Python in it."""
        name = f"hardpan-compatibility-{secrets.token_hex(6)}"
        argv = ["systemd-run", "--pipe", "--wait", "--collect", "--quiet", f"--unit={name}"]
        argv += ["-p", f"User={self.user}", "-p", f"RuntimeMaxSec={limit_s:.0f}"]
        if not self.unit:
            argv += ["-p", f"EnvironmentFile=-{_ENVIRONMENT}"]
        for setting, value in self.properties:
            argv += (
                [f"--setenv={value}"] if setting == "Environment" else ["-p", f"{setting}={value}"]
            )
        # Not isolated (-I): the service's user runs it, with the environment of the service.
        return name, [*argv, python, "-c", boot]


class ConfinedProcess:
    """One confined process."""

    def __init__(
        self, confinement: Confinement, python: str, boot: str, request: Any, limit_s: float
    ) -> None:
        self._limit_s = limit_s
        self.name, argv = confinement.build_command(python, boot, limit_s)
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        # Immediately, so that it runs while the host is inspected; in a thread, as it may block.
        pipe, self._process.stdin = self._process.stdin, None
        data = json.dumps(request).encode()
        threading.Thread(target=_write, args=(pipe, data), daemon=True).start()

    def wait(self) -> Tuple[Dict[str, ProbeResult], str]:
        """Return the results of its probes, and its last line of stderr."""
        try:
            out, err = self._process.communicate(timeout=self._limit_s + 10)
        except subprocess.TimeoutExpired as e:
            out, err = e.stdout or b"", b"did not end in time"
            kill_process_group(self._process)
            stop = ["systemctl", "stop", f"{self.name}.service"]
            subprocess.run(stop, capture_output=True, timeout=20, check=False)
        lines = err[-MAX_BYTES:].decode("utf-8", "replace").strip().splitlines()
        return parse_output(out[:MAX_BYTES].decode("utf-8", "replace")), sanitize_line(
            lines[-1] if lines else ""
        )


def _write(pipe: Any, data: bytes) -> None:
    with contextlib.suppress(OSError), pipe:
        pipe.write(data)


def list_ai_uids() -> List[int]:
    """Return the ids of the AI services' users: the group ``ai``, its members and ``ai-*``."""
    try:
        group = grp.getgrnam("ai")
        members, gid = set(group.gr_mem), group.gr_gid
    except KeyError:
        members, gid = set(), -1
    users = pwd.getpwall()
    return [
        u.pw_uid
        for u in users
        if u.pw_name in members or u.pw_gid == gid or u.pw_name.startswith("ai-")
    ]


def _add_netlink(name: str, value: str) -> Tuple[str, str]:
    """Return the setting, with the one address family that gloo needs."""
    is_allow_list = name == "RestrictAddressFamilies" and not value.startswith("~")
    if is_allow_list and "AF_NETLINK" not in value.split():
        return name, f"{value} AF_NETLINK"
    return name, value


def _read_unit_properties(settings: Dict[str, List[str]]) -> List[Tuple[str, str]]:
    properties = []
    for name in _COPIED_SETTINGS:
        for value in settings.get(name, []):
            if value in ("", "~", "[not set]") and name not in _VALID_IF_EMPTY:
                continue
            properties.append((name, value))
    properties += [
        ("DeviceAllow", v) for v in settings.get("DeviceAllow", []) if v.startswith(("/", "char-"))
    ]
    properties += [("Group", v) for v in settings.get("Group", []) if v]
    for name, root in _FOLDERS.items():
        for value in " ".join(settings.get(name, [])).split():
            path = os.path.join(root, value.partition(":")[0])
            if os.path.isdir(path):
                properties.append(("ReadWritePaths", path))
    for value in settings.get("EnvironmentFiles", []):
        properties.append(("EnvironmentFile", "-" + value.partition(" (")[0]))
    for value in settings.get("Environment", []):
        properties += [("Environment", assignment) for assignment in shlex.split(value)]
    return properties
