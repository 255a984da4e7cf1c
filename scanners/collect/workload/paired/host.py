"""Looks at the host itself: files, policies, rules, units. Each gives one half."""

import configparser
import datetime
import functools
import glob
import json
import os
import pwd
import re
import shutil
from typing import Dict, List, Tuple

from . import facts
from .tools import Half, absent, broken, first, judged, number, read, run, unasked

_YES = ("1", "true", "yes", "on")
_ENGINES = ("podman", "docker", "nerdctl")
_MOST_HOME = 50_000
_EXPOSURE = 5.0
_ROCKY = {"9": ((8,), datetime.date(2032, 5, 31)), "10": ((2,), datetime.date(2035, 5, 31))}
"""Release -> the newest minor known and the last day of support; as of 2026-11-21."""

_CRYPTO = re.compile(r"FIPS(:(OSPP|NO-SHA1|NO-CAMELLIA|ECDHE-ONLY|STIG))?")
_FAPOLICYD = "/etc/fapolicyd/fapolicyd.conf"


def native_in_homes() -> Half:
    """ELF files below /home."""
    found: List[str] = []
    looked = 0
    for folder, _, files in os.walk("/home"):
        for name in files:
            looked += 1
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            if (read(path, 4) or "").startswith("\x7fELF"):
                found.append(path)
        if looked > _MOST_HOME or len(found) > 2:
            break
    return judged(not found, f"native code below /home: {', '.join(found[:3]) or 'none'}")


def nfs() -> Half:
    """Whether every NFS file system is noexec."""
    mounts = [line.split() for line in (read("/proc/mounts") or "").splitlines()]
    found = [m for m in mounts if len(m) > 3 and m[2] in ("nfs", "nfs4")]
    if not found:
        return absent("no NFS file system is mounted")
    loose = [m[1] for m in found if "noexec" not in m[3].split(",")]
    return judged(
        not loose, f"{len(found)} NFS file systems, without noexec: {loose[:3] or 'none'}"
    )


def local_code() -> Half:
    """Whether the stacks lie on a local file system and their Python starts."""
    at, _ = facts.mount_of("/opt/ai")
    kinds = {m.split()[1]: m.split()[2] for m in (read("/proc/mounts") or "").splitlines()}
    if not os.path.isdir("/opt/ai"):
        return unasked("there is no /opt/ai")
    return judged(not kinds.get(at, "").startswith("nfs"), f"/opt/ai lies on {at}")


def fapolicyd(units: Dict[str, Dict[str, List[str]]]) -> Half:
    """Whether fapolicyd runs and enforces."""
    state = facts.active(units, "fapolicyd.service")
    if state == "unknown":
        return unasked("systemctl does not answer")
    permissive = first((read(_FAPOLICYD) or "").replace(" ", "").splitlines(), "permissive=")
    told = f"fapolicyd is {state}, permissive = {permissive or 'not set'}"
    return judged(state == "active" and permissive == "0", told)


def fapolicyd_rules() -> Half:
    """What fapolicyd's rules come to, read in their order."""
    text = read("/etc/fapolicyd/compiled.rules")
    if text is None:
        return broken("/etc/fapolicyd/compiled.rules is not there")
    rules = [x.split("#")[0].strip() for x in text.splitlines()]
    rules = [x for x in rules if x.startswith(("allow", "deny"))]
    everyone = [(i, r) for i, r in enumerate(rules) if re.search(r"\ball\s*:\s*all\s*$", r)]
    opens = [i for i, r in everyone if r.startswith("allow") and "perm=execute" not in r]
    last = bool(rules) and bool(re.match(r"deny\w*\s+perm=any\s+all\s*:\s*all\s*$", rules[-1]))
    execute = [i for i, r in everyone if r.startswith("deny") and "perm=open" not in r]
    loose = [i for i, r in everyone if r.startswith("allow") and "perm=open" not in r]
    good = last and bool(execute) and not (loose and loose[0] < execute[0])
    told = f"{len(rules)} rules, the last {'denies' if last else 'does not deny'} all"
    if opens and opens[0] < len(rules) - 1:
        told += f"; rule {opens[0] + 1} allows every open, so later ones are not reached for that"
    return judged(good, told)


def engine() -> str:
    """The container engine that is installed; empty where there is none."""
    return next((n for n in _ENGINES if shutil.which(n)), "")


def image_policy() -> Half:
    """Whether container images are rejected by default."""
    if not engine():
        return absent("no container engine is installed")
    policy = json.loads(read("/etc/containers/policy.json") or "{}")
    kinds = [p.get("type") for p in policy.get("default", [])]
    return judged(kinds == ["reject"], f"default of policy.json: {kinds or 'none'}")


def engine_starts() -> Half:
    """Whether the container engine lists its images."""
    name = engine()
    if not name:
        return absent("no container engine is installed")
    code, out = run([name, "images", "--quiet"], 60)
    return judged(code == 0, f"{name} images: {out.strip().splitlines()[-1:] or 'none'}")


def user_namespaces() -> Half:
    """Off, or on with a reason that can be seen."""
    value = number("/proc/sys/user/max_user_namespaces")
    if value is None:
        return unasked("user.max_user_namespaces is not there")
    told = f"user.max_user_namespaces = {value}, container engine: {engine() or 'none'}"
    return judged(value == 0 or engine(), told)


def memlock_of_users() -> Half:
    """That nobody gave unlimited locked memory to everybody."""
    loose = []
    for path in ["/etc/security/limits.conf", *sorted(glob.glob("/etc/security/limits.d/*.conf"))]:
        for line in (read(path) or "").splitlines():
            parts = line.split("#")[0].split()
            wide = len(parts) == 4 and parts[0] == "*" and parts[2] == "memlock"
            if wide and parts[3] in ("unlimited", "infinity", "-1"):
                loose.append(path)
    return judged(
        not loose, f"unlimited for everybody in {loose[0]}" if loose else "not for everybody"
    )


def exposure(units: List[str]) -> Half:
    """How systemd-analyze scores the AI units."""
    if not units:
        return unasked("no AI unit is there")
    code, out = run(["systemd-analyze", "security", "--no-pager", *units], 90)
    found = re.findall(r"Overall exposure level for (\S+?): ([0-9.]+)", out)
    if code or len(found) != len(units):
        return unasked(f"systemd-analyze: {out.strip().splitlines()[-1:] or 'no answer'}")
    told = ", ".join(f"{unit} {score}" for unit, score in found)
    return judged(all(float(score) <= _EXPOSURE for _, score in found), told)


def usb(units: Dict[str, Dict[str, List[str]]]) -> Tuple[Half, Half]:
    """The service usbguard and its rules; whether every device that is plugged in may be used."""
    found = glob.glob("/sys/bus/usb/devices/*/authorized")
    if not found:
        why = absent("no USB bus")
        return why, why
    state = facts.active(units, "usbguard.service")
    rules = "".join(
        read(p) or "" for p in ("/etc/usbguard/rules.conf", *glob.glob("/etc/usbguard/rules.d/*"))
    )
    refused = [p.split("/")[-2] for p in found if (read(p, 4) or "").strip() != "1"]
    control = judged(
        state == "active" and rules.strip(),
        f"usbguard is {state}, rules: {len(rules.splitlines())}",
    )
    return control, judged(
        not refused, f"{len(found)} devices, refused: {', '.join(refused) or 'none'}"
    )


def gpgcheck() -> Half:
    """Whether dnf checks every signature."""
    loose = []
    main = _ini("/etc/dnf/dnf.conf")
    whole = main.get("main", "gpgcheck", fallback="0").lower() in _YES
    if not whole:
        loose.append("dnf.conf: gpgcheck")
    if main.get("main", "localpkg_gpgcheck", fallback="0").lower() not in _YES:
        loose.append("dnf.conf: localpkg_gpgcheck")
    files = sorted(glob.glob("/etc/yum.repos.d/*.repo"))
    for path in files:
        ini = _ini(path)
        unless = "1" if whole else "0"
        open_ = [n for n in ini.sections() if ini.get(n, "gpgcheck", fallback=unless) not in _YES]
        loose += [f"{os.path.basename(path)}: {n}" for n in open_]
    told = f"{len(files)} repository files, without a check: {', '.join(loose[:4]) or 'none'}"
    return judged(not loose, told)


@functools.lru_cache(maxsize=1)
def dnf_answers() -> Half:
    """Whether dnf works on this host."""
    code, out = run(["dnf", "-q", "-C", "list", "--installed", "bash"], 90)
    if code == 127:
        return unasked("dnf is not installed")
    return judged(code == 0, f"dnf: {(out.strip().splitlines() or ['no answer'])[-1]}")


def signed_packages() -> Half:
    """Whether hardpan's own packages carry a signature."""
    query = (
        "%{NAME} %|DSAHEADER?{signed}:{%|RSAHEADER?{signed}:{%|SIGPGP?{signed}:{unsigned}|}|}|\n"
    )
    code, out = run(["rpm", "-qa", "hardpan-ai-*", "--qf", query], 60)
    if code == 127:
        return unasked("rpm is not installed")
    loose = [x.split()[0] for x in out.splitlines() if x.endswith(" unsigned")]
    told = f"{len(out.splitlines())} packages of ours, unsigned: {', '.join(loose[:3]) or 'none'}"
    return judged(not loose, told)


def crypto_policy() -> Half:
    """Whether the crypto policy is one that the rule takes."""
    code, out = run(["update-crypto-policies", "--show"], 30)
    if code == 127:
        return absent("the host has no crypto policies")
    name = (out.strip().splitlines() or [""])[-1]
    return judged(_CRYPTO.fullmatch(name), f"policy {name}")


def release() -> Half:
    """Whether the release of Rocky Linux is supported today."""
    lines = (read("/etc/os-release") or "").replace('"', "").splitlines()
    name, version = first(lines, "ID="), first(lines, "VERSION_ID=")
    if name != "rocky":
        return absent(f"the host is {name or 'unknown'}, not Rocky Linux")
    major, _, minor = version.partition(".")
    if major not in _ROCKY:
        return broken(f"Rocky Linux {version} is not a release that is known")
    (newest,), last = _ROCKY[major]
    late = datetime.datetime.now(datetime.timezone.utc).date() > last  # noqa: UP017
    old = not minor.isdigit() or int(minor) < newest
    why = (
        "past its end of life"
        if late
        else f"superseded by {major}.{newest}"
        if old
        else "supported"
    )
    return judged(not late and not old, f"Rocky Linux {version}: {why}")


def subscription_manager() -> Half:
    """That it is left out."""
    lines = (read("/etc/os-release") or "").replace('"', "").splitlines()
    if first(lines, "ID=") == "rhel":
        return absent("the host is Red Hat's own")
    code, out = run(["rpm", "-q", "subscription-manager"], 30)
    if code == 127:
        return unasked("rpm is not installed")
    return judged(code == 1, out.strip().splitlines()[-1] if out.strip() else "no answer")


def journal_as(user: pwd.struct_passwd) -> Half:
    """The kernel's messages in the journal, as the service's user with the journal's group."""
    argv = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
    argv += ["--groups=systemd-journal", "journalctl", "-k", "-n", "1", "-q", "--no-pager"]
    code, out = run([*argv, "-o", "cat"], 30)
    if code == 127:
        return unasked(out)
    if code:
        return broken((out.strip().splitlines() or ["no answer"])[-1])
    return judged(out.strip(), "there are some" if out.strip() else "none that it may read")


def _ini(path: str) -> configparser.ConfigParser:
    made = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    made.read_string(read(path) or "", path)
    return made
