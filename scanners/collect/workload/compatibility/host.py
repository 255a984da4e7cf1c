"""Inspects the host itself: files, policies, rules, units. Each function runs one check."""

import configparser
import datetime
import glob
import json
import os
import pwd
import re
import shutil
from typing import Dict, List, Tuple

from . import facts
from .tools import (
    ProbeResult,
    not_applicable,
    not_tested,
    read,
    read_int,
    run,
    satisfied_if,
    value_after,
    violated,
)

_YES = ("1", "true", "yes", "on")
_ENGINES = ("podman", "docker", "nerdctl")
_MAX_HOME_FILES = 50_000
_MAX_EXPOSURE = 5.0
_ROCKY = {"9": ((8,), datetime.date(2032, 5, 31)), "10": ((2,), datetime.date(2035, 5, 31))}
"""Release -> the newest known minor release and the last day of support; as of 2026-11-21."""

_CRYPTO = re.compile(r"FIPS(:(OSPP|NO-SHA1|NO-CAMELLIA|ECDHE-ONLY|STIG))?")
_FAPOLICYD = "/etc/fapolicyd/fapolicyd.conf"


def check_native_code_in_homes() -> ProbeResult:
    """ELF files below /home."""
    elf_files: List[str] = []
    inspected_count = 0
    for folder, _, files in os.walk("/home"):
        for name in files:
            inspected_count += 1
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            if (read(path, 4) or "").startswith("\x7fELF"):
                elf_files.append(path)
        if inspected_count > _MAX_HOME_FILES or len(elf_files) > 2:
            break
    return satisfied_if(
        not elf_files, f"native code below /home: {', '.join(elf_files[:3]) or 'none'}"
    )


def check_nfs_noexec() -> ProbeResult:
    """Whether every NFS file system is noexec."""
    mounts = [line.split() for line in (read("/proc/mounts") or "").splitlines()]
    nfs_mounts = [m for m in mounts if len(m) > 3 and m[2] in ("nfs", "nfs4")]
    if not nfs_mounts:
        return not_applicable("no NFS file system is mounted")
    without_noexec = [m[1] for m in nfs_mounts if "noexec" not in m[3].split(",")]
    return satisfied_if(
        not without_noexec,
        f"{len(nfs_mounts)} NFS file systems, without noexec: {without_noexec[:3] or 'none'}",
    )


def check_local_code() -> ProbeResult:
    """Whether the stacks are on a local file system."""
    mount_point, _ = facts.find_mount("/opt/ai")
    kinds = {m.split()[1]: m.split()[2] for m in (read("/proc/mounts") or "").splitlines()}
    if not os.path.isdir("/opt/ai"):
        return not_tested("/opt/ai does not exist")
    return satisfied_if(
        not kinds.get(mount_point, "").startswith("nfs"), f"/opt/ai is on {mount_point}"
    )


def check_fapolicyd(units: Dict[str, Dict[str, List[str]]]) -> ProbeResult:
    """Whether fapolicyd runs and enforces."""
    state = facts.find_unit_state(units, "fapolicyd.service")
    if state == "unknown":
        return not_tested("systemctl does not answer")
    permissive = value_after((read(_FAPOLICYD) or "").replace(" ", "").splitlines(), "permissive=")
    summary = f"fapolicyd is {state}, permissive = {permissive or 'not set'}"
    return satisfied_if(state == "active" and permissive == "0", summary)


def check_fapolicyd_rules() -> ProbeResult:
    """Evaluate fapolicyd's rules in their order."""
    text = read("/etc/fapolicyd/compiled.rules")
    if text is None:
        return violated("/etc/fapolicyd/compiled.rules does not exist")
    rules = [x.split("#")[0].strip() for x in text.splitlines()]
    rules = [x for x in rules if x.startswith(("allow", "deny"))]
    general_rules = [(i, r) for i, r in enumerate(rules) if re.search(r"\ball\s*:\s*all\s*$", r)]
    open_allow_indices = [
        i for i, r in general_rules if r.startswith("allow") and "perm=execute" not in r
    ]
    denies_all_last = bool(rules) and bool(
        re.match(r"deny\w*\s+perm=any\s+all\s*:\s*all\s*$", rules[-1])
    )
    execute_deny_indices = [
        i for i, r in general_rules if r.startswith("deny") and "perm=open" not in r
    ]
    execute_allow_indices = [
        i for i, r in general_rules if r.startswith("allow") and "perm=open" not in r
    ]
    is_default_deny = (
        denies_all_last
        and bool(execute_deny_indices)
        and not (execute_allow_indices and execute_allow_indices[0] < execute_deny_indices[0])
    )
    summary = f"{len(rules)} rules, the last {'denies' if denies_all_last else 'does not deny'} all"
    if open_allow_indices and open_allow_indices[0] < len(rules) - 1:
        first_open = open_allow_indices[0] + 1
        summary += f"; rule {first_open} allows every open, so later ones are not reached for that"
    return satisfied_if(is_default_deny, summary)


def find_container_engine() -> str:
    """The container engine that is installed; empty where there is none."""
    return next((n for n in _ENGINES if shutil.which(n)), "")


def check_image_policy() -> ProbeResult:
    """Whether container images are rejected by default."""
    if not find_container_engine():
        return not_applicable("no container engine is installed")
    policy = json.loads(read("/etc/containers/policy.json") or "{}")
    kinds = [p.get("type") for p in policy.get("default", [])]
    return satisfied_if(kinds == ["reject"], f"default of policy.json: {kinds or 'none'}")


def check_container_engine() -> ProbeResult:
    """Whether the container engine lists its images."""
    name = find_container_engine()
    if not name:
        return not_applicable("no container engine is installed")
    code, out = run([name, "images", "--quiet"], 60)
    return satisfied_if(code == 0, f"{name} images: {out.strip().splitlines()[-1:] or 'none'}")


def check_user_namespaces() -> ProbeResult:
    """Off, or on together with a container engine."""
    value = read_int("/proc/sys/user/max_user_namespaces")
    if value is None:
        return not_tested("user.max_user_namespaces does not exist")
    summary = (
        f"user.max_user_namespaces = {value}, container engine: {find_container_engine() or 'none'}"
    )
    return satisfied_if(value == 0 or find_container_engine(), summary)


def check_memlock_limits() -> ProbeResult:
    """No unlimited locked memory for everybody."""
    unlimited_files = []
    for path in ["/etc/security/limits.conf", *sorted(glob.glob("/etc/security/limits.d/*.conf"))]:
        for line in (read(path) or "").splitlines():
            parts = line.split("#")[0].split()
            is_for_everybody = len(parts) == 4 and parts[0] == "*" and parts[2] == "memlock"
            if is_for_everybody and parts[3] in ("unlimited", "infinity", "-1"):
                unlimited_files.append(path)
    return satisfied_if(
        not unlimited_files,
        f"unlimited for everybody in {unlimited_files[0]}"
        if unlimited_files
        else "not for everybody",
    )


def check_unit_exposure(units: List[str]) -> ProbeResult:
    """How systemd-analyze scores the AI units."""
    if not units:
        return not_tested("no AI unit exists")
    code, out = run(["systemd-analyze", "security", "--no-pager", *units], 90)
    scores = re.findall(r"Overall exposure level for (\S+?): ([0-9.]+)", out)
    if code or len(scores) != len(units):
        return not_tested(f"systemd-analyze: {out.strip().splitlines()[-1:] or 'no answer'}")
    summary = ", ".join(f"{unit} {score}" for unit, score in scores)
    return satisfied_if(all(float(score) <= _MAX_EXPOSURE for _, score in scores), summary)


def check_usb(units: Dict[str, Dict[str, List[str]]]) -> Tuple[ProbeResult, ProbeResult]:
    """The service usbguard and its rules; whether every connected device is authorized."""
    devices = glob.glob("/sys/bus/usb/devices/*/authorized")
    if not devices:
        no_bus = not_applicable("no USB bus")
        return no_bus, no_bus
    state = facts.find_unit_state(units, "usbguard.service")
    rules = "".join(
        read(p) or "" for p in ("/etc/usbguard/rules.conf", *glob.glob("/etc/usbguard/rules.d/*"))
    )
    unauthorized = [p.split("/")[-2] for p in devices if (read(p, 4) or "").strip() != "1"]
    control = satisfied_if(
        state == "active" and rules.strip(),
        f"usbguard is {state}, rules: {len(rules.splitlines())}",
    )
    return control, satisfied_if(
        not unauthorized, f"{len(devices)} devices, refused: {', '.join(unauthorized) or 'none'}"
    )


def check_gpgcheck() -> ProbeResult:
    """Whether dnf checks every signature."""
    unchecked = []
    main = _read_ini("/etc/dnf/dnf.conf")
    is_global_check_on = main.get("main", "gpgcheck", fallback="0").lower() in _YES
    if not is_global_check_on:
        unchecked.append("dnf.conf: gpgcheck")
    if main.get("main", "localpkg_gpgcheck", fallback="0").lower() not in _YES:
        unchecked.append("dnf.conf: localpkg_gpgcheck")
    files = sorted(glob.glob("/etc/yum.repos.d/*.repo"))
    for path in files:
        ini = _read_ini(path)
        default = "1" if is_global_check_on else "0"
        sections = [
            n for n in ini.sections() if ini.get(n, "gpgcheck", fallback=default) not in _YES
        ]
        unchecked += [f"{os.path.basename(path)}: {n}" for n in sections]
    summary = (
        f"{len(files)} repository files, without a check: {', '.join(unchecked[:4]) or 'none'}"
    )
    return satisfied_if(not unchecked, summary)


def check_crypto_policy() -> ProbeResult:
    """Whether the rule accepts the crypto policy."""
    code, out = run(["update-crypto-policies", "--show"], 30)
    if code == 127:
        return not_applicable("the host has no crypto policies")
    name = (out.strip().splitlines() or [""])[-1]
    return satisfied_if(_CRYPTO.fullmatch(name), f"policy {name}")


def check_release() -> ProbeResult:
    """Whether the release of Rocky Linux is supported today."""
    lines = (read("/etc/os-release") or "").replace('"', "").splitlines()
    name, version = value_after(lines, "ID="), value_after(lines, "VERSION_ID=")
    if name != "rocky":
        return not_applicable(f"the host is {name or 'unknown'}, not Rocky Linux")
    major, _, minor = version.partition(".")
    if major not in _ROCKY:
        return violated(f"Rocky Linux {version} is not a known release")
    (newest,), end_of_support = _ROCKY[major]
    is_past_support = datetime.datetime.now(datetime.timezone.utc).date() > end_of_support  # noqa: UP017
    is_superseded = not minor.isdigit() or int(minor) < newest
    support_state = "supported"
    if is_past_support:
        support_state = "past its end of life"
    elif is_superseded:
        support_state = f"superseded by {major}.{newest}"
    return satisfied_if(
        not is_past_support and not is_superseded, f"Rocky Linux {version}: {support_state}"
    )


def check_journal_access(user: pwd.struct_passwd) -> ProbeResult:
    """The kernel's messages in the journal, as the service's user with the journal's group."""
    argv = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
    argv += ["--groups=systemd-journal", "journalctl", "-k", "-n", "1", "-q", "--no-pager"]
    code, out = run([*argv, "-o", "cat"], 30)
    if code == 127:
        return not_tested(out)
    if code:
        return violated((out.strip().splitlines() or ["no answer"])[-1])
    return satisfied_if(out.strip(), "messages exist" if out.strip() else "no readable messages")


def _read_ini(path: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.read_string(read(path) or "", path)
    return parser
