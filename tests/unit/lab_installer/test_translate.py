"""Kickstart text to plan: what is understood, and what is refused and how."""

from pathlib import Path

import pytest

from images.lab.installer.plan import (
    BootLoader,
    FirewallSettings,
    Firmware,
    InstallationSource,
    Luks,
    MiB,
    PackageSelection,
    PartitionKind,
    PartitionSpec,
    Password,
    RefusedKickstartError,
    Script,
    ScriptSection,
    SourceKind,
    Volume,
    VolumeGroup,
)
from images.lab.installer.reader import SUPPORTED_OPTIONS
from images.lab.installer.release import Release
from images.lab.installer.translate import make_pre_scripts
from tests.unit.lab_installer.install_plans import EL9, make_plan_of

EL10 = Release(major=10, version="10.0")
GOLDEN = Path(__file__).parents[2] / "golden/kickstart/lab-stig.ks"


def test_storage_commands_become_partitions_groups_and_volumes(good: str) -> None:
    storage = make_plan_of(good, fips=False, strict=True).storage

    assert storage.partitions[1] == PartitionSpec(
        kind=PartitionKind.EFI,
        mount="/boot/efi",
        fstype="efi",
        size_mib=MiB(256),
        options="defaults,uid=0,gid=0,umask=077,shortname=winnt",
    )
    assert storage.partitions[3] == PartitionSpec(
        kind=PartitionKind.PV, mount="pv.01", fstype="lvmpv", size_mib=MiB(1), grow=True
    )
    assert storage.groups == (VolumeGroup(name="vg0", pvs=("pv.01",)),)
    assert storage.volumes[1] == Volume(
        mount="/tmp",
        group="vg0",
        name="tmp",
        fstype="xfs",
        size_mib=MiB(1024),
        options="nodev,nosuid,noexec",
    )


def test_system_commands_are_translated(good: str) -> None:
    system = make_plan_of(good, fips=False, strict=True).system

    assert system.timezone == "Europe/Zurich"
    assert system.time_servers == ("server 0.pool.ntp.org iburst",)
    assert system.hostname == "lab-1"
    assert system.root == Password(locked=True)
    assert system.users[0].groups == ("wheel",)
    assert system.users[0].gecos == "the steward"
    assert system.ssh_keys == (("steward", "ssh-ed25519 AAAAC3Nza steward@example"),)
    assert system.firewall == FirewallSettings(enabled=True, services=("ssh",))
    assert system.selinux == "enforcing"
    assert (system.enable, system.disable) == (("sshd", "auditd"), ("debug-shell",))


def test_packages_scripts_and_bootloader_are_translated(good: str) -> None:
    plan = make_plan_of(good, fips=False, strict=True)

    assert plan.packages == PackageSelection(
        install=("aide",), exclude=("telnet",), weak_dependencies=False
    )
    assert plan.source == InstallationSource(
        kind=SourceKind.URL, location="file:///run/install/repo"
    )
    assert plan.bootloader == BootLoader(
        append=("audit=1",), password="grub.pbkdf2.sha512.10000.AA.BB", timeout_s=1
    )
    assert plan.scripts_in(ScriptSection.POST) == (
        Script(section=ScriptSection.POST, line=34, body="echo %included\n", log="/tmp/x.log"),
    )
    assert plan.scripts_in(ScriptSection.PRE)[0].fatal
    assert plan.finish == "poweroff"


def test_plan_repr_hides_password_hashes(good: str) -> None:
    text = good.replace("--gecos", "--iscrypted --password=$6$salt$hash --gecos")

    text_repr = repr(make_plan_of(text, fips=False, strict=True))

    assert "$6$" not in text_repr
    assert "grub.pbkdf2" not in text_repr


def test_shipped_lab_kickstart_is_accepted() -> None:
    plan = make_plan_of(
        GOLDEN.read_text("utf-8"), fips=True, strict=True, release=EL9, firmware=Firmware.UEFI
    )

    assert "/var/log/audit" in {v.mount for v in plan.storage.volumes}
    assert plan.scripts_in(ScriptSection.ON_ERROR)
    assert plan.storage.problems == ()


@pytest.mark.parametrize(
    ("firmware", "mounts"),
    [
        (Firmware.BIOS, ["biosboot", "/boot", "pv.01"]),
        (Firmware.UEFI, ["/boot/efi", "/boot", "pv.01"]),
    ],
)
def test_reqpart_adds_partitions_of_the_firmware(
    good: str, firmware: Firmware, mounts: list[str]
) -> None:
    lines = [x for x in good.splitlines() if not x.startswith(("part b", "part /boot"))]
    text = "\n".join(["reqpart --add-boot", *lines]) + "\n"

    storage = make_plan_of(text, fips=False, strict=True, release=EL9, firmware=firmware).storage

    assert [p.mount for p in storage.partitions] == mounts


@pytest.mark.parametrize("options", ["", ' --fsoptions="nosuid,nodev"'])
def test_esp_gets_anacondas_mount_options_whatever_fsoptions_has(good: str, options: str) -> None:
    text = good.replace(' --fsoptions="umask=0077,shortname=winnt,nosuid"', options)
    assert text != good

    plan = make_plan_of(text, fips=False, strict=True)

    assert plan.storage.partitions[1].options == ("defaults,uid=0,gid=0,umask=077,shortname=winnt")


def test_fips_mode_uses_pbkdf2_for_luks(good: str) -> None:
    text = good.replace(
        "pv.01 --size=1", "pv.01 --size=1 --encrypted --luks-version=luks2 --passphrase=long-enough"
    )

    assert make_plan_of(
        text, fips=True, strict=True, release=EL9, firmware=Firmware.UEFI
    ).storage.partitions[3].luks == Luks(passphrase="long-enough", pbkdf="pbkdf2")
    assert make_plan_of(
        text, fips=False, strict=True, release=EL9, firmware=Firmware.UEFI
    ).storage.partitions[3].luks == Luks(passphrase="long-enough", pbkdf="argon2id")


def _problems(
    text: str, *, fips: bool = False, strict: bool = True, release: Release = EL9
) -> list[str]:
    with pytest.raises(RefusedKickstartError) as caught:
        make_plan_of(text, fips=fips, strict=strict, release=release, firmware=Firmware.UEFI)
    return [str(p) for p in caught.value.problems]


REFUSED_COMMANDS = (
    "autopart --type=lvm",
    "raid / --device=0 --level=1 raid.1 raid.2",
    "btrfs none --label=x btrfs.1",
    "iscsi --ipaddr=10.0.0.1",
    "liveimg --url=http://example/x.img",
    "realm join example.com",
    "rhsm --organization=1 --activation-key=2",
    "snapshot vg0/root --name=s --when=post-install",
    "sshpw --username=root --iscrypted x",
    "vnc",
    "graphical",
    "xconfig --startxonboot",
    "mount /dev/sda1 /",
    "ostreesetup --osname=x --remote=y --url=http://example --ref=z",
    "updates",
    "authselect select sssd",
    "module --name=x --stream=1",
    "driverdisk /dev/sdb",
    "logging --host=10.0.0.1",
    "rescue",
    "syspurpose --role=x",
    "fcoe --nic=eth0",
)


@pytest.mark.parametrize("line", REFUSED_COMMANDS)
def test_unsupported_command_is_refused_with_line(good: str, line: str) -> None:
    name = line.split()[0]

    assert _problems(f"{line}\n{good}") == [
        f"line 1: command {name!r} is not implemented by this installer"
    ]


def test_unknown_command_is_reported(good: str) -> None:
    assert _problems(f"clearprat --all\n{good}") == ["line 1: Unknown command: clearprat"]


REFUSED_OPTIONS = (
    ("lang en_US.UTF-8", "lang en_US.UTF-8 --addsupport=de_CH", 3, "lang", "--addsupport"),
    ("--onboot=yes", "--onboot=yes --ip=10.0.0.2", 7, "network", "--ip"),
    ("--onboot=yes", "--onboot=yes --noipv6", 7, "network", "--noipv6"),
    ("--initlabel", "--initlabel --linux", 16, "clearpart", "--linux"),
    ("--name=tmp", "--name=tmp --thin", 23, "logvol", "--thin"),
    ("--name=tmp", "--name=tmp --encrypted", 23, "logvol", "--encrypted"),
    ("--name=tmp", "--name=tmp --label=x", 23, "logvol", "--label"),
    ("part pv.01", "part pv.01 --noformat", 20, "part", "--noformat"),
    ("part pv.01", "part pv.01 --cipher=x", 20, "part", "--cipher"),
    ("volgroup vg0", "volgroup vg0 --noformat", 21, "volgroup", "--noformat"),
    ("--timeout=1", "--timeout=1 --extlinux", 25, "bootloader", "--extlinux"),
    ("--timeout=1", "--timeout=1 --driveorder=sda", 25, "bootloader", "--driveorder"),
    ("--utc", "--utc --ntpservers=x", 5, "timezone", "--ntpservers"),
    ("firewall --enabled", "firewall --enabled --trust=x", 12, "firewall", "--trust"),
    ("poweroff\n", "poweroff --eject\n", 14, "poweroff", "--eject"),
    ("rootpw --lock", "rootpw --plaintext x", 8, "rootpw", "--plaintext"),
    ("rootpw --lock", "rootpw --allow-ssh --lock", 8, "rootpw", "--allow-ssh"),
    ("--exclude-weakdeps", "--multilib", 26, "%packages", "--multilib"),
    ("%post --nochroot", "%post --bogus", 34, "%post", "--bogus"),
)


@pytest.mark.parametrize(("was", "now", "line", "command", "option"), REFUSED_OPTIONS)
def test_unsupported_option_is_refused_by_name(
    good: str, was: str, now: str, line: int, command: str, option: str
) -> None:
    assert (
        f"line {line}: {command}: option {option} is not implemented by this installer"
        in _problems(good.replace(was, now, 1))
    )


INVALID_KICKSTARTS = (
    ("tmp --fstype=xfs", "tmp --fstype=nosuchfs", "no file system 'nosuchfs': expected xfs or"),
    ("--all ", "", "line 16: clearpart --all is needed"),
    ("disklabel=gpt", "disklabel=msdos", "clearpart: --disklabel=msdos is not implemented"),
    ("rootpw --lock", "rootpw secret", "line 8: rootpw: a plaintext password is refused"),
    ("rootpw --lock", "", "rootpw is missing"),
    ("--iscrypted --password=grub.pbkdf2.sha512.10000.AA.BB", "--password=x",
     "line 25: bootloader: a plaintext password is refused"),
    ("grub.pbkdf2.sha512.10000.AA.BB", "$6$a$b", "is not a grub.pbkdf2.sha512 hash"),
    ("--username=steward", "--username=other", "sshkey: the kickstart has no user 'other'"),
    ("bootproto=dhcp", "bootproto=static", "network: --bootproto=static is not implemented"),
    ("--hostname=lab-1", "--hostname=lab_1", "network: not a host name: 'lab_1'"),
    ("Europe/Zurich", "../../etc/passwd", "timezone: not the name of a time zone"),
    ("--fsoptions=\"nodev,nosuid\"", "--fsoptions=\"nodev, nosuid\"", "not mount options"),
    ("lang en_US.UTF-8", "lang en_US.UTF-8\nlang C", "line 4: lang: given more than once"),
    ("part pv.01 --size=1", "part pv.01 --size=1 --pbkdf=pbkdf2", "LUKS options without --enc"),
    ("part pv.01 --size=1", "part pv.01 --size=1 --encrypted", "--encrypted needs --passphrase"),
    ("part pv.01 --size=1", "part pv.01", "pv.01: --size is missing"),
    ("pv.01 --size=1", "pv.01 --size=1 --ondisk=vda\npart swap --size=9 --ondisk=vdb",
     "partitions on more than one disk are not implemented: ['vda', 'vdb']"),
    ("--name=steward", "--name=Stew:ard", "user: not the name of a user or group: 'Stew:ard'"),
    ("%packages", "%addon com_redhat_oscap\n%end\n%packages",
     "section %addon com_redhat_oscap is not implemented"),
    ("%packages", "%ksappend /x\n%packages", "section %ksappend is not implemented"),
    ("%packages", "%nonsense\nx\n%end\n%packages", "section %nonsense is not implemented"),
    ("%packages", "%certificate --filename=x\nx\n%end\n%packages",
     "section %certificate is not implemented"),
    ("zerombr", "%include /tmp/x.ks", "section %include is not implemented"),
    ("\naide", "\n%include /tmp/x\naide", "line 28: %include is not implemented"),
)  # fmt: skip


@pytest.mark.parametrize(("was", "now", "problem"), INVALID_KICKSTARTS)
def test_invalid_kickstart_is_reported(good: str, was: str, now: str, problem: str) -> None:
    assert was in good

    assert problem in "\n".join(_problems(good.replace(was, now, 1)))


def test_short_passphrase_is_refused_only_in_fips_mode(good: str) -> None:
    text = good.replace("pv.01 --size=1", "pv.01 --size=1 --encrypted --passphrase=short")

    assert make_plan_of(text, fips=False, strict=True).storage.partitions[3].luks
    (problem,) = _problems(text, fips=True)
    assert problem == (
        "line 20: Passphrase given in the part command is too short in FIPS mode. "
        "Please use at least 8 characters."
    )


def test_all_problems_are_reported_in_line_order(good: str) -> None:
    text = good.replace("zerombr", "autopart").replace("cmdline", "vnc").replace("wheel", "a:b")

    assert _problems(text) == [
        "line 1: command 'vnc' is not implemented by this installer",
        "line 9: user: not the name of a user or group: 'a:b'",
        "line 15: command 'autopart' is not implemented by this installer",
    ]


def test_ksstrict_makes_warnings_problems(good: str) -> None:
    text = f"{good}%traceback\ntrue\n%end\n"

    make_plan_of(text, fips=False, strict=False)

    assert _problems(text, strict=True) == [
        "Please modify your kickstart file to fix the warnings or remove the `ksstrict` option."
    ]
    with pytest.raises(RefusedKickstartError) as caught:
        make_plan_of(text, fips=False, strict=True)
    assert "deprecated" in "\n".join(caught.value.warnings)


def test_kdump_addon_is_accepted_only_if_disabled(good: str) -> None:
    make_plan_of(
        f"{good}%addon com_redhat_kdump --disable\n%end\n",
        fips=False,
        strict=True,
        release=EL9,
        firmware=Firmware.UEFI,
    )

    assert _problems(f"{good}%addon com_redhat_kdump --enable\n%end\n") == [
        "line 40: section %addon com_redhat_kdump is not implemented by this installer"
    ]


def test_unterminated_section_is_a_problem(good: str) -> None:
    assert "does not end with %end" in "\n".join(_problems(good.removesuffix("%end\n")))


def test_supported_options_exist_in_rhel_9(good: str) -> None:
    from pykickstart.version import makeVersion  # type: ignore[import-untyped]

    handler = makeVersion("RHEL9")
    parsers = {name: getattr(handler.commands[name], "op", None) for name in SUPPORTED_OPTIONS}
    rhel_options = {name: set(p._option_string_actions) for name, p in parsers.items() if p}

    assert rhel_options["logvol"] > {"--vgname", "--name", "--size"}
    assert {
        n: o - rhel_options.get(n, set())
        for n, o in SUPPORTED_OPTIONS.items()
        if o - rhel_options.get(n, set())
    } == {}


@pytest.mark.parametrize(
    ("line", "release", "problem"),
    [
        ("autostep", EL10, "line 1: autostep has been removed."),
        ("authconfig --enableshadow", EL10, "line 1: authconfig has been removed."),
        ("install", EL9, "line 1: install has been removed."),
    ],
)
def test_command_that_the_release_removed_is_refused(
    good: str, line: str, release: Release, problem: str
) -> None:
    assert problem in "\n".join(_problems(f"{line}\n{good}", release=release))


def test_modules_are_deprecated_in_el_10_only(good: str) -> None:
    from pykickstart.version import makeVersion  # type: ignore[import-untyped]

    deprecated = {
        release.handler: makeVersion(release.handler).commands["module"].__class__.__name__
        for release in (EL9, EL10)
    }

    assert deprecated == {"RHEL9": "F31_Module", "RHEL10": "RHEL10_Module"}


@pytest.mark.parametrize("release", [EL9, EL10])
def test_shipped_kickstart_is_accepted_by_both_releases(release: Release) -> None:
    plan = make_plan_of(
        GOLDEN.read_text("utf-8"), fips=True, release=release, firmware=Firmware.BIOS
    )

    assert plan.warnings == ()


def test_generated_kickstart_has_no_passphrase(good: str) -> None:
    text = good.replace("pv.01 --size=1", "pv.01 --size=1 --encrypted --passphrase=correct-horse")

    plan = make_plan_of(text, fips=True, strict=True)

    assert "correct-horse" not in plan.text
    assert "volgroup vg0" in plan.text


def test_pre_scripts_are_read_although_commands_are_wrong(good: str) -> None:
    scripts = make_pre_scripts(f"nonsense\n{good}%nonsense\n%end\n", EL9)

    assert [(s.section, s.fatal, s.body) for s in scripts] == [(ScriptSection.PRE, True, "true\n")]


def test_packages_section_selects_environment_groups_and_core(good: str) -> None:
    text = good.replace("@core", "@^minimal-environment\n@standard --optional\n-@guest-agents")
    text = text.replace("--exclude-weakdeps", "--nocore --inst-langs=de")

    packages = make_plan_of(
        text, fips=False, strict=True, release=EL9, firmware=Firmware.UEFI
    ).packages

    assert packages == PackageSelection(
        install=("aide",),
        exclude=("telnet",),
        environment="minimal-environment",
        groups=("standard/mandatory,default,conditional,optional",),
        excluded_groups=("guest-agents",),
        core=False,
        languages="de",
    )
