"""Run ``hardpan scan`` in this process on an overlay host whose programs misbehave on demand.

Wrappers in ``/usr/local/bin`` precede the host's programs and run the shell code of
``/etc/faults/PROGRAM``. A scan without a fault takes a second.
"""

import json
import shlex
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hardpan import cli
from tests.content_differential.stream import (
    OVAL_SYSTEM,
    SCE_SYSTEM,
    benchmark,
    data_stream,
    definition_id,
    file_oval,
    item_id,
)
from tests.integration.overlay_host import PASSWORD, HostSpec, HostUser, OverlayHost

PROGRAMS = ("oscap", "gzip", "wc", "dpkg-query", "openssl", "ssh-keygen", "date")
_WRAPPER = """#!/bin/sh
real=/usr/bin/{name}
[ -e /etc/faults/{name} ] && . /etc/faults/{name}
exec "$real" "$@"
"""
CUT = r"""
for p in /proc/[0-9]*; do
  case $(tr '\0' ' ' 2>/dev/null <$p/cmdline) in *"@notty"*) kill -KILL "${p#/proc/}";; esac
done
sleep 3
"""
"""Ends the connection that the program belongs to."""

FAULT_HOST = HostSpec(
    packages=("sudo",),
    users=(HostUser(name="sue", password=PASSWORD),),
    sudoers="sue ALL=(ALL) ALL\n",
    # Folders that a search for cryptographic libraries walks.
    removed=("/opt", "/usr/lib/node_modules", "/usr/local/bin"),
    setup="rm -f /etc/ssh/ssh_host_*; "
    "cp -p /etc/ssh/overlay_host_key /etc/ssh/ssh_host_ed25519_key; "
    "mkdir -p /usr/local/bin /etc/faults; "
    + "; ".join(
        f"printf %s {shlex.quote(_WRAPPER.format(name=name))} > /usr/local/bin/{name}; "
        f"chmod 755 /usr/local/bin/{name}"
        for name in PROGRAMS
    ),
)

PROFILE = item_id("profile", "p")
VERDICTS = {
    **dict.fromkeys(("root", "usr", "again"), "pass"),
    **dict.fromkeys(("absent", "missing"), "fail"),
    "script": "pass",
}
_SCRIPT = "#!/bin/sh\n[ -r /etc/faults/message ] && cat /etc/faults/message\nexit 101\n"
_LEFTOVERS = (
    "ls -d /var/lib/hardpan* /var/tmp/* /root/hardpan* /run/hardpan* /dev/shm/* /tmp/* 2>/dev/null"
)


def _rule(name: str, check: str) -> str:
    return (
        f'<Rule id="{item_id("rule", name)}" selected="true" severity="high">'
        f"<title>{name}</title>{check}</Rule>"
    )


def _build_content() -> bytes:
    names = tuple(name for name in VERDICTS if name != "script")
    checks = {
        name: f'<check system="{OVAL_SYSTEM}"><check-content-ref href="o" '
        f'name="{definition_id(name)}"/></check>'
        for name in names
    }
    checks["script"] = (
        f'<check system="{SCE_SYSTEM}"><check-import import-name="stdout"/>'
        '<check-content-ref href="s"/></check>'
    )
    rules = "".join(_rule(name, check) for name, check in checks.items())
    profile = f'<Profile id="{PROFILE}"><title>p</title></Profile>'
    return data_stream(benchmark(profile + rules), {"o": file_oval(names)}, {"s": _SCRIPT})


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyScan:
    """One finished run of ``hardpan scan``."""

    exit_code: int
    stdout: str
    stderr: str
    evidence: Path

    @property
    def findings(self) -> Any:
        """``findings.json`` of the evidence."""
        return json.loads(self.members()["findings.json"])

    @property
    def verdicts(self) -> dict[str, str]:
        """Short rule name -> verdict."""
        rules = self.findings["rules"]
        return {r["ruleId"].rpartition("_rule_")[2]: r["verdict"] for r in rules}

    @property
    def checks(self) -> dict[str, str]:
        """Part without results -> ``outcome: message``."""
        return {
            c["name"].removeprefix("collect::"): f"{c['outcome']}: {c['message']}"
            for c in self.findings["checks"]
        }

    def members(self) -> dict[str, bytes]:
        """Return all files of the evidence."""
        with zipfile.ZipFile(self.evidence) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


class FaultBench:
    """One host, one content and one folder for scans."""

    def __init__(
        self, host: OverlayHost, folder: Path, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.host = host
        self.folder = folder
        self._capture = capture
        self.content = folder / "c.xml"
        self.content.write_bytes(_build_content())
        host.run("rm -rf /etc/faults /run/oscap-runs; mkdir /etc/faults")

    def set_fault(self, script: str, program: str = "oscap") -> None:
        """Set shell code that runs before a program; for oscap, where it evaluates."""
        if program == "oscap":
            script = f'if [ "$1" = xccdf ]; then\n:\n{script}\nfi'
        self.host.run(f"printf '%s\\n' {shlex.quote(script)} > /etc/faults/{program}")

    def scan(self, *options: str | Path, user: str = "root") -> FaultyScan:
        """Scan the host and return what came of it."""
        target = self.host.target(user)
        evidence = self.folder / "result.evidence.zip"
        arguments: list[str | Path | None] = [
            *("scan", f"{user}@127.0.0.1:{self.host.port}", "--ssh-config", "none"),
            *("--identity", target.identity, "--host-key", target.host_keys[0]),
            *("--content", self.content, "--profile", PROFILE, "--no-smoke"),
            *("-o", evidence, *options),
        ]
        self._capture.readouterr()
        exit_code = cli.run([str(a) for a in arguments])
        output_texts = self._capture.readouterr()
        return FaultyScan(
            exit_code=exit_code,
            stdout=output_texts.out,
            stderr=output_texts.err,
            evidence=evidence,
        )

    def verify(self, evidence: Path) -> str:
        """Verify evidence with the policy of the scan key, and return what is printed."""
        policy = self.folder / "data" / "hardpan" / "keys" / "scan-trust.yaml"
        self._capture.readouterr()
        exit_code = cli.run(["verify", str(evidence), "--policy", str(policy)])
        output_texts = self._capture.readouterr()
        assert exit_code == 0, output_texts
        return output_texts.out

    def wait_until_clean(self) -> None:
        """Wait until scans have left no file and no process on the host."""
        for _ in range(150):
            names = self.host.run(_LEFTOVERS, ok=(0, 2)).stdout.split()
            # The lower layer may have folders of another test's scan of this machine.
            files = [name for name in names if not Path(name).exists()]
            processes = self.host.process_names()
            if not files and not processes:
                return
            time.sleep(0.1)
        raise AssertionError(f"left on the host: {files} {processes}")
