"""What the roles' programs do to a machine, on a folder in its place."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.ansible.role_programs import program

HOST = program("files/host.py")
HARDEN = program("roles/kernel_hardening/files/harden.py")
TUNE = program("roles/tuning/files/tune.py")
AUDIT = program("roles/audit/files/configure_audit.py")
ZONE = """<?xml version="1.0" encoding="utf-8"?>
<zone><short>Public</short><service name="ssh"/><service name="dhcpv6-client"/>
<service name="cockpit"/><port protocol="tcp" port="8080"/><port protocol="udp" port="53"/></zone>
"""


class FakeHost(HOST.Host):  # type: ignore[name-defined,misc]
    """A folder as the machine; programs answer what a test says."""

    def __init__(self, root: Path, outputs: dict[str, str] | None = None) -> None:
        super().__init__(root)
        self.outputs = outputs or {}
        self.commands: list[tuple[str, ...]] = []

    def run(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        self.commands.append(argv)
        return self.outputs.get(" ".join(argv[:2]), "")

    def write_file(self, name: str, text: str = "", mode: int = 0o644) -> Path:
        path: Path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path


@pytest.fixture
def fake_host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_write_is_idempotent(fake_host: FakeHost) -> None:
    assert fake_host.write("/etc/a", "x\n", 0o600)
    assert not fake_host.write("/etc/a", "x\n", 0o600)
    assert fake_host.changed == ["/etc/a"]
    assert fake_host.path("/etc/a").stat().st_mode & 0o777 == 0o600


def test_write_corrects_file_mode(fake_host: FakeHost) -> None:
    fake_host.write_file("/etc/a", "x\n", 0o666)

    assert fake_host.write("/etc/a", "x\n")
    assert fake_host.path("/etc/a").stat().st_mode & 0o777 == 0o644


def test_write_replaces_symlink_without_following(fake_host: FakeHost) -> None:
    fake_host.write_file("/etc/shadow", "secret")
    fake_host.path("/etc/a").symlink_to(fake_host.path("/etc/shadow"))

    fake_host.write("/etc/a", "x\n")

    assert fake_host.read("/etc/shadow") == "secret"
    assert not fake_host.path("/etc/a").is_symlink()


def test_report_ends_with_changed_state(
    fake_host: FakeHost, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_host.report()
    fake_host.add_note("something")
    fake_host.write("/etc/a", "x")
    fake_host.report()

    assert capsys.readouterr().out == "unchanged\nnote: something\nchanged\n"


def test_missing_sysctl_is_reported_and_omitted(fake_host: FakeHost) -> None:
    fake_host.write_file("/proc/sys/fs/protected_fifos", "0")
    rows = [["fs.protected_fifos", "2", "Because."], ["kernel.of_to_morrow", "1", "Why not."]]

    missing = HARDEN.sysctls(fake_host, rows)

    assert missing == ["kernel.of_to_morrow"]
    assert fake_host.notes == ["the kernel has no kernel.of_to_morrow, left out"]
    assert fake_host.read(HARDEN.SYSCTL_FILE) == "# Because.\nfs.protected_fifos = 2\n"


def test_zone_keeps_ssh_and_opens_only_listed_ports(fake_host: FakeHost) -> None:
    fake_host.write_file(HARDEN.FIREWALL, "# x\nDefaultZone=public\n")
    fake_host.write_file("/usr/lib/firewalld/zones/public.xml", ZONE)

    HARDEN.open_ports(fake_host, [22, 443])
    HARDEN.open_ports(fake_host, [22, 443])

    zone = fake_host.read("/etc/firewalld/zones/public.xml")
    assert fake_host.changed == ["/etc/firewalld/zones/public.xml"]
    assert '<service name="ssh" />' in zone
    assert '<port protocol="tcp" port="443" />' in zone
    assert not [x for x in ("cockpit", "8080", "53") if x in zone]


def test_zone_keeps_service_with_only_listed_ports(fake_host: FakeHost) -> None:
    fake_host.write_file(HARDEN.FIREWALL, "DefaultZone=public\n")
    for name, ports in (("https", (443,)), ("web", (443, 8443))):
        listed = "".join(f'<port protocol="tcp" port="{p}"/>' for p in ports)
        fake_host.write_file(
            f"/usr/lib/firewalld/services/{name}.xml", f"<service>{listed}</service>"
        )
    services = "".join(f'<service name="{n}"/>' for n in ("ssh", "https", "web", "unheard"))
    fake_host.write_file("/etc/firewalld/zones/public.xml", f"<zone>{services}</zone>")

    HARDEN.open_ports(fake_host, [22, 443])

    zone = fake_host.read("/etc/firewalld/zones/public.xml")
    assert '<service name="https" />' in zone
    assert not [x for x in ("web", "unheard", "<port") if x in zone]


def test_equivalent_zone_is_not_rewritten(fake_host: FakeHost) -> None:
    fake_host.write_file(HARDEN.FIREWALL, "DefaultZone=work\n")
    zone = '<zone>\n\n  <service name="ssh"/>\n  <port port="443" protocol="tcp"/>\n</zone>\n'
    fake_host.write_file("/etc/firewalld/zones/work.xml", zone)

    HARDEN.open_ports(fake_host, [22, 443])

    assert fake_host.changed == []
    assert fake_host.read("/etc/firewalld/zones/work.xml") == zone


def test_missing_firewalld_is_reported(fake_host: FakeHost) -> None:
    HARDEN.open_ports(fake_host, [22])

    assert fake_host.notes == ["firewalld is not installed: no port is closed by this layer"]


def test_only_unlisted_units_are_masked(tmp_path: Path) -> None:
    listing = "sshd.service enabled enabled\ngetty@.service enabled enabled\nevil.timer enabled x\n"
    fake_host = FakeHost(tmp_path, {"systemctl list-unit-files": listing})

    assert HARDEN.mask_units(fake_host, ["sshd.service", "getty@*.service"]) == ["evil.timer"]
    assert fake_host.commands[1:] == [("systemctl", "mask", "-q", "evil.timer")]


def test_site_unit_file_is_disabled_instead_of_masked(tmp_path: Path) -> None:
    fake_host = FakeHost(tmp_path, {"systemctl list-unit-files": "own.service enabled enabled\n"})
    fake_host.write_file("/etc/systemd/system/own.service", "[Unit]\n")

    assert HARDEN.mask_units(fake_host, ["sshd.service"]) == []
    assert fake_host.commands[1:] == [("systemctl", "disable", "-q", "own.service")]


def test_unlisted_suid_bit_is_removed_and_mode_recorded(tmp_path: Path) -> None:
    fake_host = FakeHost(tmp_path, {"find /": "/usr/bin/sudo\0/usr/bin/odd name\0"})
    mounts = "/dev/a / xfs rw 0 0\n/dev/b /home xfs rw,nosuid 0 0\nproc /proc proc rw 0 0\n"
    fake_host.write_file("/proc/self/mounts", mounts)
    sudo = fake_host.write_file("/usr/bin/sudo", "", 0o4755)
    unlisted = fake_host.write_file("/usr/bin/odd name", "", 0o6755)

    modes = HARDEN.remove_suid(fake_host, ["/usr/bin/sudo"])

    assert modes == {"/usr/bin/odd name": "6755"}
    assert (sudo.stat().st_mode & 0o7777, unlisted.stat().st_mode & 0o7777) == (0o4755, 0o755)
    assert [argv[1] for argv in fake_host.commands] == ["/"]


class RpmHost(FakeHost):
    """A machine with an rpm database: package -> what needs it."""

    installed: Mapping[str, str] = {}

    def run(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        self.commands.append(argv)
        if argv[1] == "-qa":
            return "\n".join(self.installed)
        names = [x for x in argv[2:] if x != "--test"]
        dependencies = [(n, self.installed[n]) for n in names if self.installed[n]]
        return "".join(
            f"{n} is needed by (installed) {dependent}\n"
            for n, dependent in dependencies
            if dependent not in names
        )


@pytest.fixture
def rpm_host(tmp_path: Path) -> RpmHost:
    return RpmHost(tmp_path)


LISTS = (["gcc", "gcc-[0-9]*", "dkms"], ["make", "cpp"], ["gcc-*-base"])


def test_compilers_are_removed_in_a_single_transaction(rpm_host: RpmHost) -> None:
    rpm_host.installed = {
        "bash": "",
        "gcc": "dkms",
        "dkms": "",
        "make": "dkms",
        "gcc-14-base": "libgcc",
    }

    assert HARDEN.remove_packages(rpm_host, *LISTS) == ["dkms", "gcc", "make"]
    assert rpm_host.commands[-1] == ("rpm", "-e", "dkms", "gcc", "make")


def test_required_build_tool_is_retained_and_reported(rpm_host: RpmHost) -> None:
    rpm_host.installed = {"make": "python3-sepolgen", "cpp": "", "gcc": "", "python3-sepolgen": ""}

    assert HARDEN.remove_packages(rpm_host, *LISTS) == ["gcc", "cpp"]
    assert "not removed, other packages need it: make" in rpm_host.notes


def test_no_removal_without_matching_packages(rpm_host: RpmHost) -> None:
    rpm_host.installed = {"bash": "", "make": "python3-sepolgen", "python3-sepolgen": ""}

    assert HARDEN.remove_packages(rpm_host, *LISTS) == []
    assert rpm_host.changed == []


def test_required_compiler_fails_with_dependents(rpm_host: RpmHost) -> None:
    rpm_host.installed = {"gcc": "nvidia-kmod-build", "nvidia-kmod-build": ""}

    with pytest.raises(
        SystemExit, match=r"gcc is needed by \(installed\) nvidia-kmod-build\nremove"
    ):
        HARDEN.remove_packages(rpm_host, *LISTS)

    assert rpm_host.commands[-1] == ("rpm", "-e", "--test", "gcc")


@pytest.mark.parametrize(
    ("constants", "main", "folder"),
    [
        ({"CFG_DEF_PROFILE_DIRS": ["/usr/lib/tuned/profiles", "/etc/tuned/profiles"]}, "",
         "/etc/tuned/profiles"),
        ({"LOAD_DIRECTORIES": ["/usr/lib/tuned", "/etc/tuned"]}, "", "/etc/tuned"),
        ({"LOAD_DIRECTORIES": ["/usr/lib/tuned", "/etc/tuned"]},
         "profile_dirs = /usr/lib/x,/etc/x\n", "/etc/x"),
    ],
)  # fmt: skip
def test_profile_folder_is_read_from_tuned(
    fake_host: FakeHost,
    monkeypatch: pytest.MonkeyPatch,
    constants: dict[str, Any],
    main: str,
    folder: str,
) -> None:
    monkeypatch.setitem(sys.modules, "tuned", SimpleNamespace(consts=SimpleNamespace(**constants)))
    fake_host.write_file(TUNE.TUNED_MAIN, main)

    assert TUNE.find_profile_folder(fake_host) == folder


def test_missing_tuned_fails(fake_host: FakeHost) -> None:
    with pytest.raises(SystemExit, match="tuned is not installed"):
        TUNE.find_profile_folder(fake_host)


def test_profile_unknown_to_tuned_fails(fake_host: FakeHost) -> None:
    with pytest.raises(SystemExit, match="tuned does not see the profile hardpan-inference in /x"):
        TUNE.activate_profile(fake_host, "hardpan-inference", "[main]\n", "/x")


def test_tuned_reapplies_sysctl_settings(tmp_path: Path) -> None:
    fake_host = FakeHost(tmp_path, {"tuned-adm list": "- hardpan-inference   - x\n"})
    fake_host.write_file(TUNE.TUNED_MAIN, "daemon = 1\nreapply_sysctl = 0\n")

    TUNE.activate_profile(fake_host, "hardpan-inference", "[main]\n", "/etc/tuned")

    assert fake_host.read(TUNE.TUNED_MAIN) == "daemon = 1\nreapply_sysctl = 1\n"
    assert fake_host.read("/etc/tuned/active_profile") == "hardpan-inference\n"
    wants = fake_host.path("/etc/systemd/system/multi-user.target.wants/tuned.service")
    assert str(wants.readlink()) == "/usr/lib/systemd/system/tuned.service"


def test_forwarding_is_removed_without_log_host(fake_host: FakeHost) -> None:
    fake_host.write_file(AUDIT.PLUGIN, "active = no\npath = /sbin/audisp-syslog\n")
    AUDIT.configure_forwarding(fake_host, "block\n", "PEM\n")
    assert fake_host.read(AUDIT.PLUGIN) == "active = yes\npath = /sbin/audisp-syslog\n"

    AUDIT.configure_forwarding(fake_host, "", "")

    assert not fake_host.exists(AUDIT.FORWARD)
    assert not fake_host.exists(AUDIT.AUTHORITY)


def test_forwarding_without_audispd_plugin_fails(fake_host: FakeHost) -> None:
    with pytest.raises(SystemExit, match="audispd-plugins has to be installed"):
        AUDIT.configure_forwarding(fake_host, "block\n", "PEM\n")


def test_fapolicyd_trusts_model_checker(
    fake_host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_host.path(AUDIT.TRUST).mkdir(parents=True)
    plan = {
        "watched": ["/opt/ai/models"],
        "rules": "",
        "backlog": "",
        "forward": "",
        "authority": "",
        "checker": "x\n",
        "units": {},
    }
    monkeypatch.setattr(sys, "argv", ["configure_audit.py", json.dumps(plan)])
    monkeypatch.setattr(AUDIT, "Host", lambda: fake_host)

    AUDIT.main()

    digest = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"
    assert fake_host.read("/etc/fapolicyd/trust.d/hardpan-audit") == f"{AUDIT.CHECKER} 2 {digest}\n"
    assert fake_host.path("/opt/ai/models").is_dir()
