"""State of the host, and the probes in the service's confinement."""

import datetime
import glob
from typing import Dict, List

from . import confinement, facts
from .tools import ProbeResult, combine, not_tested, read, violated

_STACKS = "/opt/ai/stacks"
_PYTHON = "/usr/bin/python3"
_SERVING = "serving"
_BOOT_S, _PLAIN_S, _PACKAGES_S = 90, 60, 120


class ProbeSession:
    """State of the host before, during and after the workload checks."""

    def __init__(self, boot: str, sources: Dict[str, str]) -> None:
        self.start_time = datetime.datetime.now()  # noqa: DTZ005 - ausearch takes local time
        self.units = facts.read_units(confinement.UNITS)
        self.confinement = confinement.Confinement(self.units)
        self.user = self.confinement.find_user()
        self.initial_audit = facts.read_audit_status()
        self.initial_denied = facts.count_denied_packets()
        self.probe_results: Dict[str, ProbeResult] = {}
        self.failure_reason = ""
        self._processes = self._start_probes(boot, sources)

    def wait(self) -> None:
        """Collect the results of the confined processes."""
        packages: List[ProbeResult] = []
        for process in self._processes:
            results, error_output = process.wait()
            packages += [results.pop("packages")] if "packages" in results else []
            for name, result in results.items():
                self.probe_results.setdefault(name, result)
            self.failure_reason = self.failure_reason or (
                "" if results else f"systemd-run: {error_output or 'no answer'}"
            )
        if "started" in self.probe_results:
            self.probe_results.setdefault("torch", violated("importing torch ended the process"))
        if packages:
            tested = [p for p in packages if p[0] != "not_tested"]
            self.probe_results["packages"] = combine(*(tested or packages[:1]))
        self.final_denied = facts.count_denied_packets()
        self.final_audit = facts.read_audit_status()

    def get_probe(self, name: str) -> ProbeResult:
        """Return the result of a probe in the confinement."""
        return self.probe_results.get(
            name, not_tested(self.failure_reason or "the confined process reported no result")
        )

    def combine_probes(self, *names: str) -> ProbeResult:
        """Combine the results of several probes."""
        return combine(*(self.get_probe(n) for n in names))

    def list_loaded_units(self) -> List[str]:
        """Return the AI units that exist."""
        return [
            u for u in confinement.UNITS if self.units.get(u, {}).get("LoadState") == ["loaded"]
        ]

    def _start_probes(
        self, boot: str, sources: Dict[str, str]
    ) -> List[confinement.ConfinedProcess]:
        if self.user is None:
            self.failure_reason = f"the user {self.confinement.user} does not exist, or is root"
            return []
        stacks = list_pythons(_STACKS)
        torch_python = select_torch_python(stacks)
        processes = []
        for python in [torch_python, *(p for p in stacks if p != torch_python)]:
            has_torch_probes = python == torch_python
            request = {
                "sources": sources,
                "module": "actions",
                "arguments": {
                    "plain": has_torch_probes,
                    "torch": has_torch_probes,
                    "budget_s": _PLAIN_S,
                    "packages_s": _PACKAGES_S,
                },
            }
            limit_s = _BOOT_S + _PLAIN_S * 2 + _PACKAGES_S
            try:
                processes.append(
                    confinement.ConfinedProcess(self.confinement, python, boot, request, limit_s)
                )
            except OSError as e:
                self.failure_reason = f"systemd-run: {e.strerror}"
        return processes


def list_pythons(root: str) -> List[str]:
    """The Python of each stack, the serving one first."""
    paths = glob.glob(f"{root}/*/bin/python")
    return sorted(paths, key=lambda p: (p.split("/")[-3] != _SERVING, p))


def select_torch_python(stacks: List[str]) -> str:
    """Return the Python for torch: a stack with its own, or one that uses the system's."""
    root_by_python = {p: p[: -len("/bin/python")] for p in stacks}
    with_bundled_torch = [
        p for p in stacks if glob.glob(f"{root_by_python[p]}/lib/python*/site-packages/torch")
    ]
    setting = "include-system-site-packages = true"
    with_system_packages = [
        p for p in stacks if setting in (read(f"{root_by_python[p]}/pyvenv.cfg") or "")
    ]
    return (with_bundled_torch or with_system_packages or [_PYTHON])[0]
