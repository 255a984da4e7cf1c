#!/usr/bin/python3 -I
"""Configure auditing as a plan requires; the plan is the only argument.

Only files are changed: the rules are loaded at the next boot together with the STIG's rules,
whose '-e 2' comes last.
"""

import hashlib
import json
import re
import sys

from host import Host

RULES = "/etc/audit/rules.d/60-hardpan-ai.rules"
# Sorted after audit.rules, because the last of several -b wins, and before immutable.rules.
BACKLOG = "/etc/audit/rules.d/hardpan-backlog.rules"
PLUGIN = "/etc/audit/plugins.d/syslog.conf"
FORWARD = "/etc/rsyslog.d/10-hardpan-loghost.conf"
SPOOL = "/var/lib/rsyslog"
AUTHORITY = "/etc/hardpan/loghost-ca.pem"
CHECKER = "/usr/libexec/hardpan/models-check"
UNITS = "/etc/systemd/system"
TRUST = "/etc/fapolicyd/trust.d"


def main() -> None:
    """Apply the plan."""
    plan, host = json.loads(sys.argv[1]), Host()
    for name in plan["watched"]:
        # A rule for a missing folder stops the loading of all later rules.
        host.make_folder(host.path(name))
    is_changed = host.write(RULES, plan["rules"], 0o600)
    if host.write(BACKLOG, plan["backlog"], 0o600) or is_changed:
        host.run("augenrules")
    configure_forwarding(host, plan["forward"], plan["authority"])
    host.write(CHECKER, plan["checker"], 0o755)
    for name, text in plan["units"].items():
        host.write(f"{UNITS}/{name}", text)
    host.link(
        f"{UNITS}/timers.target.wants/hardpan-models-check.timer", "../hardpan-models-check.timer"
    )
    if host.exists(TRUST):
        # fapolicyd runs only files that the RPM database or a trust file lists.
        data = plan["checker"].encode()
        line = f"{CHECKER} {len(data)} {hashlib.sha256(data).hexdigest()}\n"
        host.write(f"{TRUST}/hardpan-audit", line)
    host.report()


def configure_forwarding(host: Host, forward: str, authority: str) -> None:
    """Enable or disable forwarding of logs and audit records to the log host."""
    if not forward:
        host.remove(FORWARD)
        host.remove(AUTHORITY)
        return
    # rsyslog's queue of messages that the log host has not accepted yet.
    host.make_folder(host.path(SPOOL))
    is_changed = host.write(AUTHORITY, authority)
    if host.write(FORWARD, forward) or is_changed:
        # Level 1 checks syntax, settings and modules without opening files or sockets.
        host.run("rsyslogd", "-N1")
    plugin_text = host.read(PLUGIN)
    if not plugin_text:
        sys.exit(f"{PLUGIN} is missing: audispd-plugins has to be installed to ship audit records")
    host.write(PLUGIN, re.sub(r"(?m)^active\s*=.*$", "active = yes", plugin_text), 0o640)


if __name__ == "__main__":
    main()
