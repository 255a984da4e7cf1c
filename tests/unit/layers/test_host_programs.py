"""What the roles' programs do to a machine, on a folder in its place."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.layers.target_programs import program

HOST = program("files/host.py")
HARDEN = program("roles/kernel_hardening/files/harden.py")
TUNE = program("roles/tuning/files/tune.py")
WATCH = program("roles/audit/files/watch.py")
ZONE = """<?xml version="1.0" encoding="utf-8"?>
<zone><short>Public</short><service name="ssh"/><service name="dhcpv6-client"/>
<service name="cockpit"/><port protocol="tcp" port="8080"/><port protocol="udp" port="53"/></zone>
"""


class Machine(HOST.Host):  # type: ignore[name-defined,misc]
    """A folder as the machine; programs answer what a test says."""

    def __init__(self, root: Path, answers: dict[str, str] | None = None) -> None:
        super().__init__(root)
        self.answers = answers or {}
        self.ran: list[tuple[str, ...]] = []

    def run(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        self.ran.append(argv)
        return self.answers.get(" ".join(argv[:2]), "")

    def give(self, name: str, text: str = "", mode: int = 0o644) -> Path:
        path: Path = self.at(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_file_is_changed_once(machine: Machine) -> None:
    assert machine.put("/etc/a", "x\n", 0o600)
    assert not machine.put("/etc/a", "x\n", 0o600)
    assert machine.changed == ["/etc/a"]
    assert machine.at("/etc/a").stat().st_mode & 0o777 == 0o600


def test_a_wrong_mode_is_a_change(machine: Machine) -> None:
    machine.give("/etc/a", "x\n", 0o666)

    assert machine.put("/etc/a", "x\n")
    assert machine.at("/etc/a").stat().st_mode & 0o777 == 0o644


def test_a_link_in_a_files_place_is_replaced_not_followed(machine: Machine) -> None:
    machine.give("/etc/shadow", "secret")
    machine.at("/etc/a").symlink_to(machine.at("/etc/shadow"))

    machine.put("/etc/a", "x\n")

    assert machine.text("/etc/shadow") == "secret"
    assert not machine.at("/etc/a").is_symlink()


def test_the_last_line_tells_whether_anything_changed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.tell()
    machine.note("something")
    machine.put("/etc/a", "x")
    machine.tell()

    assert capsys.readouterr().out == "unchanged\nnote: something\nchanged\n"


def test_a_setting_that_the_kernel_lacks_is_told_and_left_out(machine: Machine) -> None:
    machine.give("/proc/sys/fs/protected_fifos", "0")
    rows = [["fs.protected_fifos", "2", "Because."], ["kernel.of_to_morrow", "1", "Why not."]]

    lacking = HARDEN.sysctls(machine, rows)

    assert lacking == ["kernel.of_to_morrow"]
    assert machine.notes == ["the kernel has no kernel.of_to_morrow, left out"]
    assert machine.text(HARDEN.SYSCTL_FILE) == "# Because.\nfs.protected_fifos = 2\n"


def test_a_zone_keeps_the_way_in_and_opens_the_listed_ports_alone(machine: Machine) -> None:
    machine.give(HARDEN.FIREWALL, "# x\nDefaultZone=public\n")
    machine.give("/usr/lib/firewalld/zones/public.xml", ZONE)

    HARDEN.open_ports(machine, [22, 443])
    HARDEN.open_ports(machine, [22, 443])

    made = machine.text("/etc/firewalld/zones/public.xml")
    assert machine.changed == ["/etc/firewalld/zones/public.xml"]
    assert '<service name="ssh" />' in made
    assert '<port protocol="tcp" port="443" />' in made
    assert not [x for x in ("cockpit", "8080", "53") if x in made]


def test_a_service_that_opens_listed_ports_alone_stays(machine: Machine) -> None:
    machine.give(HARDEN.FIREWALL, "DefaultZone=public\n")
    for name, ports in (("https", (443,)), ("web", (443, 8443))):
        listed = "".join(f'<port protocol="tcp" port="{p}"/>' for p in ports)
        machine.give(f"/usr/lib/firewalld/services/{name}.xml", f"<service>{listed}</service>")
    services = "".join(f'<service name="{n}"/>' for n in ("ssh", "https", "web", "unheard"))
    machine.give("/etc/firewalld/zones/public.xml", f"<zone>{services}</zone>")

    HARDEN.open_ports(machine, [22, 443])

    made = machine.text("/etc/firewalld/zones/public.xml")
    assert '<service name="https" />' in made
    assert not [x for x in ("web", "unheard", "<port") if x in made]


def test_a_zone_of_the_admins_that_says_the_same_is_left_as_it_is(machine: Machine) -> None:
    machine.give(HARDEN.FIREWALL, "DefaultZone=work\n")
    mine = '<zone>\n\n  <service name="ssh"/>\n  <port port="443" protocol="tcp"/>\n</zone>\n'
    machine.give("/etc/firewalld/zones/work.xml", mine)

    HARDEN.open_ports(machine, [22, 443])

    assert machine.changed == []
    assert machine.text("/etc/firewalld/zones/work.xml") == mine


def test_without_a_firewall_that_is_told(machine: Machine) -> None:
    HARDEN.open_ports(machine, [22])

    assert machine.notes == ["firewalld is not installed: no port is closed by this layer"]


def test_only_units_off_the_list_are_masked(tmp_path: Path) -> None:
    said = "sshd.service enabled enabled\ngetty@.service enabled enabled\nevil.timer enabled x\n"
    machine = Machine(tmp_path, {"systemctl list-unit-files": said})

    assert HARDEN.mask(machine, ["sshd.service", "getty@*.service"]) == ["evil.timer"]
    assert machine.ran[1:] == [("systemctl", "mask", "-q", "evil.timer")]


def test_a_unit_file_that_a_mask_cannot_hide_is_disabled(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"systemctl list-unit-files": "own.service enabled enabled\n"})
    machine.give("/etc/systemd/system/own.service", "[Unit]\n")

    assert HARDEN.mask(machine, ["sshd.service"]) == []
    assert machine.ran[1:] == [("systemctl", "disable", "-q", "own.service")]


def test_suid_goes_where_it_would_count_and_its_mode_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"find /": "/usr/bin/sudo\0/usr/bin/odd name\0"})
    mounts = "/dev/a / xfs rw 0 0\n/dev/b /home xfs rw,nosuid 0 0\nproc /proc proc rw 0 0\n"
    machine.give("/proc/self/mounts", mounts)
    sudo = machine.give("/usr/bin/sudo", "", 0o4755)
    odd = machine.give("/usr/bin/odd name", "", 0o6755)

    taken = HARDEN.take_suid(machine, ["/usr/bin/sudo"])

    assert taken == {"/usr/bin/odd name": "6755"}
    assert (sudo.stat().st_mode & 0o7777, odd.stat().st_mode & 0o7777) == (0o4755, 0o755)
    assert [argv[1] for argv in machine.ran] == ["/"]


class Rpm(Machine):
    """A machine with an rpm database: package -> what needs it."""

    installed: Mapping[str, str] = {}

    def run(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        self.ran.append(argv)
        if argv[1] == "-qa":
            return "\n".join(self.installed)
        names = [x for x in argv[2:] if x != "--test"]
        needed = [(n, self.installed[n]) for n in names if self.installed[n]]
        return "".join(
            f"{n} is needed by (installed) {by}\n" for n, by in needed if by not in names
        )


@pytest.fixture
def rpm(tmp_path: Path) -> Rpm:
    return Rpm(tmp_path)


LISTS = (["gcc", "gcc-[0-9]*", "dkms"], ["make", "cpp"], ["gcc-*-base"])


def test_compilers_go_in_one_transaction(rpm: Rpm) -> None:
    rpm.installed = {"bash": "", "gcc": "dkms", "dkms": "", "make": "dkms", "gcc-14-base": "libgcc"}

    assert HARDEN.remove_packages(rpm, *LISTS) == ["dkms", "gcc", "make"]
    assert rpm.ran[-1] == ("rpm", "-e", "dkms", "gcc", "make")


def test_a_tool_that_others_need_stays_and_is_told(rpm: Rpm) -> None:
    rpm.installed = {"make": "python3-sepolgen", "cpp": "", "gcc": "", "python3-sepolgen": ""}

    assert HARDEN.remove_packages(rpm, *LISTS) == ["gcc", "cpp"]
    assert "kept, as other packages need it: make" in rpm.notes


def test_where_nothing_is_to_go_nothing_changes(rpm: Rpm) -> None:
    rpm.installed = {"bash": "", "make": "python3-sepolgen", "python3-sepolgen": ""}

    assert HARDEN.remove_packages(rpm, *LISTS) == []
    assert rpm.changed == []


def test_compilers_that_something_needs_end_the_layer_with_what_needs_them(rpm: Rpm) -> None:
    rpm.installed = {"gcc": "nvidia-kmod-build", "nvidia-kmod-build": ""}

    with pytest.raises(
        SystemExit, match=r"gcc is needed by \(installed\) nvidia-kmod-build\nremove"
    ):
        HARDEN.remove_packages(rpm, *LISTS)

    assert rpm.ran[-1] == ("rpm", "-e", "--test", "gcc")


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
def test_tuned_itself_says_where_it_reads_profiles(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    constants: dict[str, Any],
    main: str,
    folder: str,
) -> None:
    monkeypatch.setitem(sys.modules, "tuned", SimpleNamespace(consts=SimpleNamespace(**constants)))
    machine.give(TUNE.MAIN, main)

    assert TUNE.own_profiles(machine) == folder


def test_a_machine_without_tuned_is_told_so(machine: Machine) -> None:
    with pytest.raises(SystemExit, match="tuned is not installed"):
        TUNE.own_profiles(machine)


def test_a_profile_that_tuned_does_not_see_ends_the_layer(machine: Machine) -> None:
    with pytest.raises(SystemExit, match="tuned does not see the profile hardpan-inference in /x"):
        TUNE.follow(machine, "hardpan-inference", "[main]\n", "/x")


def test_tuned_is_made_to_give_the_stigs_settings_back(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"tuned-adm list": "- hardpan-inference   - x\n"})
    machine.give(TUNE.MAIN, "daemon = 1\nreapply_sysctl = 0\n")

    TUNE.follow(machine, "hardpan-inference", "[main]\n", "/etc/tuned")

    assert machine.text(TUNE.MAIN) == "daemon = 1\nreapply_sysctl = 1\n"
    assert machine.text("/etc/tuned/active_profile") == "hardpan-inference\n"
    wants = machine.at("/etc/systemd/system/multi-user.target.wants/tuned.service")
    assert str(wants.readlink()) == "/usr/lib/systemd/system/tuned.service"


def test_logs_are_shipped_no_more_when_the_log_host_is_gone(machine: Machine) -> None:
    machine.give(WATCH.PLUGIN, "active = no\npath = /sbin/audisp-syslog\n")
    WATCH.ship(machine, "block\n", "PEM\n")
    assert machine.text(WATCH.PLUGIN) == "active = yes\npath = /sbin/audisp-syslog\n"

    WATCH.ship(machine, "", "")

    assert not machine.has(WATCH.FORWARD)
    assert not machine.has(WATCH.AUTHORITY)


def test_records_that_cannot_be_shipped_are_an_error(machine: Machine) -> None:
    with pytest.raises(SystemExit, match="audispd-plugins has to be installed"):
        WATCH.ship(machine, "block\n", "PEM\n")


def test_fapolicyd_is_told_to_trust_the_checker(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.at(WATCH.TRUST).mkdir(parents=True)
    plan = {
        "watched": ["/opt/ai/models"],
        "rules": "",
        "backlog": "",
        "forward": "",
        "authority": "",
        "checker": "x\n",
        "units": {},
    }
    monkeypatch.setattr(sys, "argv", ["watch.py", json.dumps(plan)])
    monkeypatch.setattr(WATCH, "Host", lambda: machine)

    WATCH.main()

    digest = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"
    assert machine.text("/etc/fapolicyd/trust.d/hardpan-audit") == f"{WATCH.CHECKER} 2 {digest}\n"
    assert machine.at("/opt/ai/models").is_dir()
