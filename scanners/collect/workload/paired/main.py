"""Both halves of each conflict, put together out of what the host and the service told."""

import datetime
import glob
import json
import os
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import confined, facts, host, kernel
from .actions import perf
from .probes import guarded
from .tools import Half, absent, both, broken, judged, number, read, unasked

_STACKS = "/opt/ai/stacks"
_PYTHON = "/usr/bin/python3"
_SERVING = "serving"
_OURS = "/run/hardpan-paired.json"
"""How many denied packets were our own attempts since the counter was at 0."""

_BOOT_S, _PLAIN_S, _PACKAGES_S = 90, 60, 120
Halves = Tuple[Callable[[], Half], Callable[[], Half]]


class Asked:
    """The host before, during and after the actions."""

    def __init__(self, boot: str, sources: Dict[str, str]) -> None:
        self.began = datetime.datetime.now()  # noqa: DTZ005 - ausearch takes local time
        self.units = facts.units(confined.UNITS)
        self.how = confined.Confinement(self.units)
        self.user = self.how.known_user()
        self.audit_before = facts.audit()
        self.denied_before = facts.denied()
        self.action: Dict[str, Half] = {}
        self.why = ""
        self._running = self._start(boot, sources)

    def wait(self) -> None:
        """Take in what the confined processes told."""
        packages: List[Half] = []
        for process in self._running:
            told, said = process.ended()
            packages += [told.pop("packages")] if "packages" in told else []
            for name, half in told.items():
                self.action.setdefault(name, half)
            self.why = self.why or ("" if told else f"systemd-run: {said or 'no answer'}")
        if "started" in self.action:
            self.action.setdefault("torch", broken("importing torch ended the process"))
        if packages:
            named = [p for p in packages if p[0] != "not_asked"]
            self.action["packages"] = both(*(named or packages[:1]))
        self.denied_after = facts.denied()
        self.audit_after = facts.audit()

    def seen(self, name: str) -> Half:
        """What a probe in the confinement came to."""
        return self.action.get(name, unasked(self.why or "the confined process did not tell"))

    def all_seen(self, *names: str) -> Half:
        """Several probes together."""
        return both(*(self.seen(n) for n in names))

    def loaded(self) -> List[str]:
        """The AI units that are there."""
        return [u for u in confined.UNITS if self.units.get(u, {}).get("LoadState") == ["loaded"]]

    def _start(self, boot: str, sources: Dict[str, str]) -> List[confined.Running]:
        if self.user is None:
            self.why = f"the user {self.how.user} is not there, or is root"
            return []
        stacks = pythons(_STACKS)
        chosen = with_torch(stacks)
        made = []
        for python in [chosen, *(p for p in stacks if p != chosen)]:
            first = python == chosen
            sent = {
                "sources": sources,
                "run": "actions",
                "sent": {
                    "plain": first,
                    "torch": first,
                    "budget_s": _PLAIN_S,
                    "packages_s": _PACKAGES_S,
                },
            }
            limit_s = _BOOT_S + _PLAIN_S * 2 + _PACKAGES_S
            try:
                made.append(confined.Running(self.how, python, boot, sent, limit_s))
            except OSError as e:
                self.why = f"systemd-run: {e.strerror}"
        return made


def pythons(root: str) -> List[str]:
    """The Python of each stack, the serving one first."""
    found = glob.glob(f"{root}/*/bin/python")
    return sorted(found, key=lambda p: (p.split("/")[-3] != _SERVING, p))


def with_torch(stacks: List[str]) -> str:
    """The Python that torch is asked of: a stack with its own, one that sees the system's."""
    homes = {p: p[: -len("/bin/python")] for p in stacks}
    own = [p for p in stacks if glob.glob(f"{homes[p]}/lib/python*/site-packages/torch")]
    seeing = "include-system-site-packages = true"
    system = [p for p in stacks if seeing in (read(f"{homes[p]}/pyvenv.cfg") or "")]
    return (own or system or [_PYTHON])[0]


def main(sent: Dict[str, Any]) -> None:
    """Print both halves of every conflict as one JSON object."""
    asked = Asked(sent["boot"], sent["sources"])
    pairs = table(asked)
    # What needs no confined process is looked at while they run.
    controls = {name: guarded(halves[0]) for name, halves in pairs.items() if name not in _LATE}
    asked.wait()
    halves = {}
    for name, (control, action) in pairs.items():
        one = controls[name] if name in controls else guarded(control)
        halves[name] = {"control": list(one), "action": list(guarded(action))}
    answer = {
        "confinement": asked.how.told()[:800],
        "halves": halves,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


_LATE = (
    "tmp-noexec",
    "fapolicyd",
    "no-compiler",
    "code-folders",
    "fips-md5",
    "dmesg",
    "perf",
    "egress",
)
"""Conflicts whose control is seen from inside of the confinement, too."""


def table(a: Asked) -> Dict[str, Halves]:
    """Conflict -> how its two halves are asked."""
    return {
        "tmp-noexec": (
            lambda: both(facts.noexec("/tmp"), facts.noexec("/var/tmp"), a.seen("tmp")),
            lambda: a.seen("jit"),
        ),
        "home-noexec": (
            lambda: facts.noexec("/home"),
            lambda: both(a.seen("home"), host.native_in_homes()),
        ),
        "shm-noexec": (lambda: facts.noexec("/dev/shm"), lambda: a.seen("shm")),
        "nfs-noexec": (host.nfs, lambda: both(a.seen("started"), host.local_code())),
        "fapolicyd": (
            lambda: both(host.fapolicyd(a.units), a.seen("canary")),
            lambda: a.all_seen("torch", "jit"),
        ),
        "fapolicyd-default-deny": (host.fapolicyd_rules, lambda: a.seen("torch")),
        "fapolicyd-containers": (host.image_policy, host.engine_starts),
        "no-compiler": (
            lambda: _compiler(a.seen("compiler")),
            lambda: a.all_seen("torch", "matmul", "jit"),
        ),
        "cuda-jit": (lambda: _with_gpu(host.fapolicyd(a.units)), lambda: _gpu(a)),
        "code-folders": (lambda: a.seen("code"), lambda: a.seen("packages")),
        "fips-md5": (
            lambda: both(kernel.fips(), a.seen("md5")),
            lambda: a.all_seen("torch", "packages"),
        ),
        "fips-bundled-crypto": (lambda: both(kernel.fips(), _loopback_alone()), facts.proxy),
        "fips-at-install": (
            lambda: both(_fips_argument(), kernel.installed_in_fips_mode()),
            lambda: a.seen("matmul"),
        ),
        "user-namespaces": (host.user_namespaces, lambda: a.all_seen("started", "matmul")),
        "ptrace-scope": (
            lambda: facts.sysctl("kernel.yama.ptrace_scope", ">=1"),
            lambda: a.seen("allreduce"),
        ),
        "memlock": (host.memlock_of_users, lambda: a.seen("mlock")),
        "sandbox": (lambda: host.exposure(a.loaded()), lambda: _answers(a.loaded())),
        "selinux": (
            kernel.selinux,
            lambda: both(a.all_seen("torch", "jit"), kernel.denials(a.began)),
        ),
        "secure-boot": (kernel.secure_boot, kernel.signed_driver),
        "kexec": (lambda: kernel.kexec(a.units), facts.logged),
        "dmesg": (
            lambda: both(facts.sysctl("kernel.dmesg_restrict", "=1"), a.seen("dmesg")),
            lambda: host.journal_as(a.user) if a.user else unasked(a.why),
        ),
        "perf": (
            lambda: both(facts.sysctl("kernel.perf_event_paranoid", ">=2"), a.seen("perf")),
            perf,
        ),
        "memory-poisoning": (kernel.poisoning, lambda: a.seen("matmul")),
        "mitigations": (kernel.mitigations, lambda: a.seen("matmul")),
        "iommu": (kernel.iommu, lambda: _gpu(a)),
        "usbguard": (lambda: host.usb(a.units)[0], lambda: host.usb(a.units)[1]),
        "gpgcheck": (host.gpgcheck, lambda: both(host.dnf_answers(), host.signed_packages())),
        "crypto-policy": (host.crypto_policy, facts.proxy),
        "vendor-support": (host.release, lambda: a.seen("torch")),
        "subscription-manager": (host.subscription_manager, host.dnf_answers),
        "firewalld": (facts.firewall, facts.proxy),
        "audit": (lambda: _audit(a.audit_before), lambda: _audit(a.audit_after)),
        "nouveau": (kernel.nouveau, lambda: both(kernel.nvidia(), _gpu(a))),
        "egress": (lambda: _denied(a), lambda: _silent(a)),
    }


def _compiler(seen: Half) -> Half:
    return absent(seen[1]) if seen[0] == "broken" else seen


def _with_gpu(half: Half) -> Half:
    return half if facts.gpus() else absent("no GPU on the PCI bus")


def _gpu(a: Asked) -> Half:
    if not facts.gpus():
        return absent("no GPU on the PCI bus")
    return a.seen("gpu")


def _fips_argument() -> Half:
    there = "fips=1" in facts.arguments()
    return judged(there, "fips=1 is on the command line" if there else "no fips=1 there")


def _loopback_alone() -> Half:
    found = facts.listening(confined.ai_uids())
    if not found:
        return unasked("no AI service listens")
    return judged(
        all(x.startswith("local ") for x in found), f"AI services listen: {', '.join(found)}"
    )


def _answers(units: List[str]) -> Half:
    if not units:
        return unasked("no AI unit is there")
    return both(*(facts.answers(confined.PORTS[u]) for u in units))


def _audit(told: Tuple[Optional[Dict[str, str]], str]) -> Half:
    state, why = told
    if state is None:
        return unasked(why)
    good = state["enabled"] in ("1", "2") and state["lost"] == "0"
    limit = state.get("backlog_limit", "?")
    return judged(good, f"enabled {state['enabled']}, lost {state['lost']}, backlog_limit {limit}")


def _denied(a: Asked) -> Half:
    """The table is there, and our own attempt was denied and counted."""
    before, after = a.denied_before[0], a.denied_after[0]
    if before is None or after is None:
        return broken(a.denied_before[1] or a.denied_after[1])
    attempt = a.seen("egress")
    if attempt[0] != "holds":
        return attempt
    _keep(before, after)
    return judged(after > before, f"{attempt[1]}; counter 'denied' {before} -> {after} packets")


def _silent(a: Asked) -> Half:
    """What was counted before, our own earlier attempts aside, came from the services."""
    before = a.denied_before[0]
    if before is None:
        return unasked(a.denied_before[1])
    theirs = before - _kept(before)
    return judged(theirs == 0, f"{theirs} packets of the services denied since the counter began")


def _kept(before: int) -> int:
    """Our own share of the counter; a counter below it has begun anew."""
    ours = _own
    return ours if ours <= before else 0


def _keep(before: int, after: int) -> None:
    with open(_OURS, "w", encoding="ascii") as f:
        json.dump(_kept(before) + after - before, f)


def _earlier() -> int:
    known = os.path.isfile(_OURS) and os.stat(_OURS).st_uid == 0
    return (number(_OURS) or 0) if known else 0


_own = _earlier()
