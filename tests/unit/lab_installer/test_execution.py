"""The steps that touch the system, over a recorder instead of processes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.lab.installer import (
    accounts,
    bootloader,
    configure,
    network_profiles,
    payload,
    process,
    scripts,
    selinux,
    storage,
)
from images.lab.installer.config_files import Mount
from images.lab.installer.console import InstallerConsole
from images.lab.installer.disks import InstallDisk
from images.lab.installer.plan import (
    Firmware,
    InstallError,
    InstallPlan,
    MiB,
    PackageSelection,
    Script,
    ScriptSection,
)
from images.lab.installer.process import ProcessResult
from images.lab.installer.scripts import ScriptFailedError
from images.lab.installer.storage import InstallTarget
from images.lab.installer.storage_configuration import DiskLayout, Machine, configure_storage
from tests.unit.lab_installer.install_plans import EL9, make_plan_of

AnswerFunction = Callable[[Sequence[str]], ProcessResult]


class Recorder:
    """Replaces ``run``: records the calls and returns ``answer``."""

    def __init__(self) -> None:
        self.argvs: list[list[str]] = []
        self.stdins: list[str] = []
        self.answer: AnswerFunction = lambda _: ProcessResult(exit_status=0, output="7871\n")

    def __call__(self, argv: Sequence[str], **options: Any) -> ProcessResult:
        self.argvs.append([*(["chroot"] if options.get("chroot") else []), *argv])
        self.stdins.append(options.get("stdin", ""))
        return self.answer(argv)

    @property
    def lines(self) -> list[str]:
        """What was run, one line each."""
        return [" ".join(a) for a in self.argvs]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    recorder = Recorder()
    modules = (
        accounts,
        bootloader,
        configure,
        network_profiles,
        payload,
        scripts,
        selinux,
        storage,
    )
    for module in (*modules, storage):
        monkeypatch.setattr(module, "run", recorder)
        if hasattr(module, "SYSROOT"):
            monkeypatch.setattr(module, "SYSROOT", tmp_path)
    monkeypatch.setattr(process, "LOGS", tmp_path)
    monkeypatch.setattr(scripts, "LOGS", tmp_path)
    return recorder


@pytest.fixture
def console(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> InstallerConsole:
    monkeypatch.setattr("images.lab.installer.console._open_consoles", list)
    return InstallerConsole()


@pytest.fixture
def plan(good: str) -> InstallPlan:
    return make_plan_of(good, fips=True, strict=True)


def _lay_out(plan: InstallPlan, console: InstallerConsole) -> DiskLayout:
    machine = Machine(
        disks=(InstallDisk(path="/dev/vda", size_mib=MiB(32768)),),
        firmware=Firmware.UEFI,
        memory_mib=MiB(2048),
        disk_names={},
    )
    result = configure_storage(plan.storage, machine, release=EL9, print_line=console.print_line)
    assert result is not None
    return result


@pytest.fixture
def prepared(
    plan: InstallPlan, run: Recorder, console: InstallerConsole, monkeypatch: pytest.MonkeyPatch
) -> InstallTarget:
    monkeypatch.setattr(storage, "_wait_for_devices", lambda _: None)
    return storage.prepare_disk(_lay_out(plan, console), console)


def test_disk_is_erased_partitioned_and_formatted_in_order(
    prepared: InstallTarget, run: Recorder
) -> None:
    programs = [a[1] if a[0] == "lvm" else a[0] for a in run.argvs]

    assert programs[:13] == [
        *("vgchange", "wipefs", "sgdisk", "wipefs", "wipefs", "wipefs", "wipefs"),
        *("pvcreate", "vgcreate", "vgs", "lvcreate", "lvcreate", "lvcreate"),
    ]
    # Two at a time: their order is not fixed, only that they come before the mounts.
    assert sorted(programs[13:18]) == ["mkfs.vfat", "mkfs.xfs", "mkfs.xfs", "mkfs.xfs", "mkswap"]
    assert programs[18:] == ["mount"] * 4


def test_parents_are_mounted_first_with_kickstart_options(
    prepared: InstallTarget, run: Recorder, tmp_path: Path
) -> None:
    mounts = [line.replace(str(tmp_path), "") for line in run.lines if line.startswith("mount ")]

    assert mounts == [
        "mount -t xfs /dev/mapper/vg0-root ",
        "mount -t xfs -o nodev,nosuid /dev/vda2 /boot",
        "mount -t xfs -o nodev,nosuid,noexec /dev/mapper/vg0-tmp /tmp",
        "mount -t vfat -o defaults,uid=0,gid=0,umask=077,shortname=winnt /dev/vda1 /boot/efi",
    ]


def test_fstab_specs_use_uuids_for_partitions_and_names_for_volumes(
    prepared: InstallTarget,
) -> None:
    specs = {m.mount: m.spec.split("=")[0] for m in prepared.mounts}

    assert specs == {
        "/": "/dev/mapper/vg0-root",
        "/boot": "UUID",
        "/tmp": "/dev/mapper/vg0-tmp",
        "/boot/efi": "UUID",
        "swap": "/dev/mapper/vg0-swap",
    }


def test_passphrase_reaches_cryptsetup_on_stdin_only(
    good: str, run: Recorder, console: InstallerConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = good.replace("pv.01 --size=1", "pv.01 --size=1 --encrypted --passphrase=correct-horse")
    monkeypatch.setattr(storage, "_wait_for_devices", lambda _: None)

    target = storage.prepare_disk(_lay_out(make_plan_of(text, fips=True), console), console)

    assert "correct-horse" not in "\n".join(run.lines)
    assert run.stdins.count("correct-horse") == 2
    assert f"lvm pvcreate -y -ff /dev/mapper/luks-{target.luks_uuids[0]}" in run.lines


def _make_target(*, boot: bool = True) -> InstallTarget:
    def mount(point: str, spec: str) -> Mount:
        return Mount(spec=spec, device="/dev/vda2", mount=point, fstype="xfs", uuid="U-B")

    mounts = (
        mount("/", "/dev/mapper/vg0-root"),
        *([mount("/boot", "UUID=U-B")] if boot else []),
        mount("/boot/efi", "UUID=U-E"),
    )
    return InstallTarget(disk="/dev/vda", mounts=mounts, luks_uuids=(), groups=("vg0",))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A new system, as far as the files go that are looked at."""
    for name in ("boot/loader/entries", "boot/grub2", "etc/default", "usr/lib", "home/steward"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "boot/vmlinuz-6.12").write_text("")
    (tmp_path / "boot/grub2/grub.cfg").write_text("")
    (tmp_path / "usr/lib/os-release").write_text('NAME="hardpan lab"\nVERSION="9.0"\n')
    (tmp_path / "etc/default/grub").write_text("GRUB_DEFAULT=saved\n")
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/firewall-offline-cmd").write_text("")
    firewall = tmp_path / "usr/lib/firewalld/zones/public.xml"
    firewall.parent.mkdir(parents=True)
    firewall.write_text('<zone><service name="ssh"/></zone>')
    zone = tmp_path / "usr/share/zoneinfo/Europe/Zurich"
    zone.parent.mkdir(parents=True)
    zone.write_text("")
    return tmp_path


@pytest.fixture(params=["bios", "uefi"])
def firmware(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Firmware of the machine that runs the installer."""
    folder = tmp_path / "firmware/efi"
    if request.param == "uefi":
        folder.mkdir(parents=True)
    monkeypatch.setattr(bootloader, "EFI_FIRMWARE", folder)
    return str(request.param)


def test_bootloader_entry_and_arguments_are_written(
    firmware: str, plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    bootloader.install_bootloader(
        plan.bootloader,
        plan.storage,
        _make_target(),
        console,
        cmdline="x console=ttyS0,115200 fips=1",
        fips=True,
    )

    entry = (installed / "boot/loader/entries/hardpan-lab-6.12.conf").read_text()
    arguments = "console=ttyS0,115200 rd.lvm.lv=vg0/root audit=1 fips=1 boot=UUID=U-B"
    assert "title hardpan lab 9.0 (6.12)\n" in entry
    assert f"options root=/dev/mapper/vg0-root ro {arguments}\n" in entry
    assert f'GRUB_CMDLINE_LINUX="{arguments}"\nGRUB_TIMEOUT=1\n' in (
        (installed / "etc/default/grub").read_text()
    )
    user_cfg = installed / "boot/grub2/user.cfg"
    assert user_cfg.read_text() == "GRUB2_PASSWORD=grub.pbkdf2.sha512.10000.AA.BB\n"
    assert user_cfg.stat().st_mode & 0o777 == 0o600
    assert run.argvs[-1] == ["chroot", "grub-mkconfig", "-o", "/boot/grub2/grub.cfg"]


def test_only_the_loader_of_the_firmware_is_installed(
    firmware: str, plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    run.answer = lambda argv: ProcessResult(
        exit_status=0, output="Boot0007* hardpan lab\n" if argv == ["efibootmgr"] else ""
    )

    bootloader.install_bootloader(
        plan.bootloader, plan.storage, _make_target(), console, cmdline="", fips=False
    )

    commands = [a[1:] for a in run.argvs if a[1] in ("grub-install", "efibootmgr")]
    stub = installed / "boot/efi/EFI/debian/grub.cfg"
    if firmware == "bios":
        assert [c[:2] for c in commands] == [["grub-install", "--target=i386-pc"]]
        assert commands[0][-1] == "/dev/vda"
        assert not stub.exists()
        return
    create = "efibootmgr -q -c -w -L hardpan lab -d /dev/vda -p 2 -l \\EFI\\debian\\shimx64.efi"
    assert [" ".join(c) for c in commands] == [
        "efibootmgr",
        "efibootmgr -q -b 0007 -B",
        create,
    ]
    assert stub.read_text() == (
        "search --no-floppy --fs-uuid --set=dev U-B\n"
        "set prefix=($dev)/grub2\nexport prefix\nconfigfile $prefix/grub.cfg\n"
    )


def test_disk_without_partition_for_the_firmware_is_an_error(
    firmware: str, plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    target = replace(_make_target(), mounts=_make_target().mounts[:1])
    storage_plan = replace(plan.storage, partitions=())
    problem = {"bios": "of type biosboot", "uefi": "an EFI system partition"}[firmware]

    with pytest.raises(InstallError, match=problem):
        bootloader.install_bootloader(
            plan.bootloader, storage_plan, target, console, cmdline="", fips=False
        )


def test_boot_argument_is_omitted_without_boot_partition(
    plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    bootloader.install_bootloader(
        plan.bootloader,
        plan.storage,
        _make_target(boot=False),
        console,
        cmdline="fips=1",
        fips=True,
    )

    entry = (installed / "boot/loader/entries/hardpan-lab-6.12.conf").read_text()
    assert "linux /boot/vmlinuz-6.12\n" in entry
    assert "boot=UUID" not in entry


def test_missing_kernel_is_an_error(
    plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    (installed / "boot/vmlinuz-6.12").unlink()

    with pytest.raises(InstallError, match="no kernel in /boot"):
        bootloader.install_bootloader(
            plan.bootloader, plan.storage, _make_target(), console, cmdline="", fips=False
        )


def test_configuration_files_are_written(
    plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    (installed / "etc/chrony.conf").write_text("pool x\nmakestep 1 3\n")

    configure.configure_system(plan.system, EL9)
    configure.configure_network(plan.system)

    def read(name: str) -> str:
        return (installed / "etc" / name).read_text()

    assert read("hostname") == "lab-1\n"
    assert read("locale.conf") == 'LANG="C.UTF-8"\n'
    assert read("vconsole.conf") == "KEYMAP=us\n"
    assert read("chrony.conf") == "server 0.pool.ntp.org iburst\nmakestep 1 3\n"
    assert (installed / "etc/localtime").readlink() == Path("../usr/share/zoneinfo/Europe/Zurich")
    assert f"systemctl --root={installed} enable sshd.service auditd.service" in run.lines
    assert "Anaconda Installer 34.25.7.19\n" in read("sysconfig/anaconda")
    log = (installed / "anaconda.log").read_text()
    assert "The 'en_US.UTF-8' locale is unsupported." in log


def test_unknown_time_zone_is_an_error(
    plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    (installed / "usr/share/zoneinfo/Europe/Zurich").unlink()

    with pytest.raises(InstallError, match="the system has no zone 'Europe/Zurich'"):
        configure.configure_system(plan.system, EL9)


def test_disabling_missing_service_only_warns(
    plan: InstallPlan, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    run.answer = lambda argv: ProcessResult(exit_status=1 if "disable" in argv else 0, output="")

    configure.configure_system(plan.system, EL9)

    log = (installed / "anaconda.log").read_text()
    assert "Disabling debug-shell failed. It probably doesn't exist" in log


def test_firewalld_tool_runs_only_for_services_missing_in_zone(
    good: str, installed: Path, run: Recorder, console: InstallerConsole
) -> None:
    more = good.replace("--enabled --ssh", "--enabled --ssh --port=8443:tcp")

    configure.configure_system(make_plan_of(good).system, EL9)
    assert not any("firewall-offline-cmd" in line for line in run.lines)

    configure.configure_system(make_plan_of(more).system, EL9)
    assert "chroot firewall-offline-cmd --service=ssh --port=8443/tcp" in run.lines


def test_accounts_get_groups_passwords_and_keys(
    plan: InstallPlan, installed: Path, run: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned: list[tuple[str, int, int]] = []
    monkeypatch.setattr(
        "os.chown", lambda path, uid, gid: owned.append((Path(path).name, uid, gid))
    )
    (installed / "etc/group").write_text("root:x:0:\n")
    (installed / "etc/passwd").write_text("steward:x:1000:1001::/home/steward:/bin/bash\n")
    (installed / "etc/shadow").write_text("root:*:1::::::\nsteward:!:1::::::\n")

    accounts.create_accounts(plan.system)

    assert run.lines == [
        "chroot groupadd wheel",
        "chroot useradd --create-home --groups wheel --comment the steward steward",
    ]
    assert [x.split(":")[1] for x in (installed / "etc/shadow").read_text().split()] == ["!!", "!!"]
    keys = installed / "home/steward/.ssh/authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAAC3Nza steward@example\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert owned == [(".ssh", 1000, 1001), ("authorized_keys", 1000, 1001)]


def test_excluded_base_packages_are_removed(run: Recorder) -> None:
    run.answer = lambda _: ProcessResult(exit_status=0, output="bc\n")

    payload.remove_excluded(PackageSelection(exclude=("bc", "telnet")))

    assert run.argvs[0][-2:] == ["bc", "telnet"]
    assert run.argvs[1][-3:] == ["--noautoremove", "remove", "bc"]


def _make_script(*, fatal: bool, chroot: bool = False, log: str | None = None) -> Script:
    return Script(
        section=ScriptSection.POST, line=7, body="false\n", fatal=fatal, chroot=chroot, log=log
    )


def test_failing_script_stops_installation_only_with_erroronfail(
    run: Recorder, tmp_path: Path
) -> None:
    run.answer = lambda _: ProcessResult(exit_status=3, output="first\nlast words\n")
    (tmp_path / "tmp").mkdir()

    scripts.run_all([_make_script(fatal=False, chroot=True, log="/root/x.log")])
    with pytest.raises(ScriptFailedError) as caught:
        scripts.run_all([_make_script(fatal=True, chroot=True)])

    assert (caught.value.line, caught.value.details) == (7, "first\nlast words\n")
    assert (tmp_path / "root/x.log").read_text() == "first\nlast words\n"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_selinux_mode_is_set_and_files_are_labelled_with_a_policy(
    plan: InstallPlan, installed: Path, run: Recorder
) -> None:
    contexts = installed / "etc/selinux/targeted/contexts/files/file_contexts"
    contexts.parent.mkdir(parents=True)
    contexts.touch()

    configure.configure_system(plan.system, EL9)
    selinux.label_files(_make_target())

    config = installed / "etc/selinux/config"
    assert config.read_text() == "SELINUX=enforcing\nSELINUXTYPE=targeted\n"
    (labelling,) = [line for line in run.lines if "setfiles" in line]
    assert labelling.startswith("chroot setfiles -F -e /dev -e /proc -e /run -e /sys /etc/selinux")
    # Each file system is named: setfiles does not enter those that are mounted below another.
    assert labelling.split()[-3:] == ["/", "/boot", "/boot/efi"]


def test_files_are_not_labelled_without_a_policy(installed: Path, run: Recorder) -> None:
    selinux.label_files(_make_target())

    assert not (installed / "etc/selinux/config").exists()
    assert not [line for line in run.lines if "setfiles" in line]


def test_script_output_is_in_a_private_log_and_not_on_the_console(
    run: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    run.answer = lambda _: ProcessResult(exit_status=0, output="secret\n")

    scripts.run_all([_make_script(fatal=True, chroot=True)])

    (log,) = tmp_path.glob("ks-script-*.log")
    assert log.read_text() == "secret\n"
    assert log.stat().st_mode & 0o777 == 0o600
    assert "secret" not in (tmp_path / "anaconda.log").read_text()


def test_missing_service_fails_only_if_it_is_to_be_enabled(
    plan: InstallPlan, installed: Path, run: Recorder
) -> None:
    configure.configure_system(plan.system, EL9)

    systemctl = [line.split(" ", 2)[2] for line in run.lines if line.startswith("systemctl")]
    assert systemctl[:2] == ["disable debug-shell.service", "enable sshd.service auditd.service"]


def test_firewall_without_firewalld_is_an_error(
    plan: InstallPlan, installed: Path, run: Recorder
) -> None:
    (installed / "usr/bin/firewall-offline-cmd").unlink()

    with pytest.raises(InstallError, match=r"firewall-offline-cmd is missing\. Cannot setup"):
        configure.configure_system(plan.system, EL9)


def test_lvm_devices_file_lists_the_physical_volumes(
    prepared: InstallTarget, run: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = tmp_path / "system.devices"
    devices.write_text("IDTYPE=devname IDNAME=/dev/vda4\n")
    monkeypatch.setattr(storage, "_LVM_DEVICES", devices)

    storage.write_lvm_devices(prepared)

    assert run.lines[-1] == (
        "lvm lvmdevices --yes --config devices/use_devicesfile=1 --adddev /dev/vda4"
    )
    copy = tmp_path / devices.relative_to("/")
    assert copy.read_text() == "IDTYPE=devname IDNAME=/dev/vda4\n"


def test_partitions_are_announced_as_blivet_does(prepared: InstallTarget, tmp_path: Path) -> None:
    log = (tmp_path / "anaconda.log").read_text()

    lines = [line[8:] for line in log.splitlines() if "Creating" in line]
    assert lines == [
        "Creating disklabel on /dev/vda",
        "Creating biosboot on /dev/vda3",
        "Creating lvmpv on /dev/vda4",
        "Creating efi on /dev/vda1",
        "Creating xfs on /dev/vda2",
        "Creating xfs on /dev/mapper/vg0-root",
        "Creating xfs on /dev/mapper/vg0-tmp",
        "Creating swap on /dev/mapper/vg0-swap",
    ]


def test_profile_is_bound_to_the_interface_with_a_link(
    plan: InstallPlan, run: Recorder, tmp_path: Path
) -> None:
    sys_net = tmp_path / "net"
    for name, carrier in (("ens3", "0"), ("ens4", "1"), ("lo", "1")):
        (sys_net / name).mkdir(parents=True)
        (sys_net / name / "address").write_text("52:54:00:00:00:01\n")
        (sys_net / name / "carrier").write_text(f"{carrier}\n")
        if name != "lo":
            (sys_net / name / "device").mkdir()

    network_profiles.write_profiles(plan.system.devices, sys_net)

    (profile,) = (tmp_path / "etc/NetworkManager/system-connections").iterdir()
    assert profile.name == "ens4.nmconnection"
    assert profile.stat().st_mode & 0o777 == 0o600
    assert "interface-name=ens4\n" in profile.read_text()
