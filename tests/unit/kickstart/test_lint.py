"""One row per thing that ksvalidator or a hurried eye lets through."""

import pytest

from hardpan.kickstart import KickstartError, lint_kickstart, lint_or_raise
from hardpan.kickstart.lint.linter import MAX_KICKSTART_BYTES
from hardpan.kickstart.syntax import parse_kickstart

ROOT = "logvol / --vgname=vg0"
TMP = (
    'logvol /tmp --vgname=vg0 --name=tmp --fstype=xfs --size=4096 --fsoptions="nodev,nosuid,noexec"'
)
PV = "part pv.01 --size=1 --grow --ondisk=vda"
LUKS = "--encrypted --luks-version=luks2 --pbkdf=pbkdf2 --passphrase=abc"
KDUMP = "%addon com_redhat_kdump --disable"

EL9_AND_EL10_CASES = [
    # What ksvalidator lets through, measured on RHEL9 and RHEL10.
    (
        ROOT,
        "logvol / --vgname=nope",
        "logvol in the volume group 'nope', which no volgroup defines",
    ),
    ("--name=tmp ", "--name=root ", "a second logical volume 'root'"),
    ("--name=tmp --fstype=xfs", "--name=tmp --fstype=nosuchfs", "unknown file system 'nosuchfs'"),
    ('"nodev"', '"nodev,bogus"', "unknown mount option 'bogus'"),
    ("poweroff\n", "poweroff\nrepo --name=updates\n", "repo --name=updates is reserved"),
    (KDUMP, f"{KDUMP}\n%end\n%addon org_nobody_x", "unknown %addon 'org_nobody_x' for rocky"),
    # Passwords and accounts.
    ("rootpw --lock", "rootpw secret", "expected 'rootpw --lock': root has no password"),
    ("rootpw --lock", "rootpw secret", "rootpw with a plaintext password, give a hash"),
    ("rootpw --lock\n", "", "expected 'rootpw --lock'"),
    (" --lock\nsshkey", " --password=secret\nsshkey", "user with a plaintext password"),
    (
        " --lock\nsshkey",
        " --iscrypted --password=$1$x$y\nsshkey",
        "user --iscrypted with a value that is not a sha512 or yescrypt hash",
    ),
    (
        "--iscrypted --password=grub",
        "--iscrypted --password=glub",
        "bootloader --iscrypted with a value that is not a grub.pbkdf2.sha512 hash",
    ),
    ("--iscrypted --password=grub", "--password=grub", "bootloader with a plaintext password"),
    ('set superusers="bootwarden"', 'set superusers="root"', "superuser is named root"),
    ("set superusers", "set users", "no %post sets the boot loader's superuser"),
    ("sshkey --username=steward", "sshkey --username=eve", "sshkey for 'eve', who is not a user"),
    ("sshkey --", "# sshkey --", "expected an sshkey: the STIG forbids root logins"),
    # Boot loader.
    ('--append="audit=1', '--append="fips=1 audit=1', "fips=1 in bootloader --append"),
    ("bootloader --", "# bootloader --", "expected a bootloader command, got none"),
    # Storage.
    (TMP, TMP.replace(",noexec", ""), "tmp without noexec, required by the STIG"),
    ("shortname=winnt nosuid; do", "shortname=winnt; do", "/boot/efi without nosuid"),
    ("winnt nosuid; do", "winnt nosuid bogus; do", "unknown mount option 'bogus' of /boot/efi"),
    (
        "--fstype=efi --size=600",
        '--fstype=efi --size=600 --fsoptions="nosuid"',
        "Anaconda replaces --fsoptions of /boot/efi",
    ),
    (
        "echo 'tmpfs /dev/shm",
        "echo 'tmpfs /dev/sha",
        "expected a %post that writes 'tmpfs /dev/shm",
    ),
    ("volgroup vg0 pv.01", "volgroup vg0 pv.02", "volgroup on pv.02, which no part defines"),
    ("zerombr", "zerombr\nautopart", "autopart cannot set mount options"),
    ("zerombr", "zerombr\nreqpart", "reqpart cannot set mount options"),
    ("logvol /home ", "logvol /tmp ", "a second /tmp"),
    (ROOT, "logvol /srv --vgname=vg0", "expected a root partition, got none"),
    # Encryption.
    (PV, f"{PV} --passphrase=secret", "--passphrase without --encrypted: nothing is encrypted"),
    (PV, f"{PV} --pbkdf=pbkdf2", "--pbkdf without --encrypted: nothing is encrypted"),
    (PV, f"{PV} {LUKS[:-17]}", "--encrypted without --passphrase: Anaconda would ask for it"),
    (PV, f"{PV} {LUKS.replace('luks2', 'luks1')}", "--encrypted without --luks-version=luks2"),
    (PV, f"{PV} {LUKS.replace('=pbkdf2', '=argon2id')}", "argon2 does not work in FIPS mode"),
    (PV, f"{PV} {LUKS.replace(' --pbkdf=pbkdf2', '')}", "argon2 does not work in FIPS mode"),
    ("part /boot --", f"part /boot {LUKS} --", "/boot --encrypted: firmware and GRUB cannot read"),
    (ROOT, f"{ROOT} --encrypted", "logvol --encrypted; encrypt the physical volume"),
    # Scripts and the end.
    ("%post --erroronfail\n", "%post\n", "%post without --erroronfail: failures would be ignored"),
    ("%pre --erroronfail\n", "%pre\n", "%pre without --erroronfail"),
    ("HARDPAN-INSTALL: complete", "HARDPAN-INSTALL: done", "success could not be detected"),
    (
        "trap report EXIT",
        "",
        "%onerror does not run after a failing %pre; expected it to report and power off",
    ),
    (
        "poweroff -f",
        "",
        "%onerror does not run after a failing %post; expected it to report and power off",
    ),
    (
        'step="boot loaders"\n. /usr/lib/hardpan/report-failure.sh\n',
        "",
        "a failing %post waits for a key; expected it to source /usr/lib/hardpan/report-failure.sh",
    ),
    ("%onerror", "%post --erroronfail", "expected an %onerror that writes the logs and powers off"),
    ("%onerror", "%post --erroronfail", "is not written by the last %post"),
    ("HARDPAN-INSTALL: failed", "oh dear", "%onerror does not write 'HARDPAN-INSTALL: failed'"),
    ("\npoweroff\n", "\nreboot\n", "expected 'poweroff': a reboot would install again"),
    ("selinux --enforcing", "selinux --permissive", "expected 'selinux --enforcing'"),
    (KDUMP, "%addon com_redhat_kdump --enable", "expected '%addon com_redhat_kdump --disable'"),
    # What cannot even be read.
    ("%onerror", "%onfire", "unknown section '%onfire'"),
    ("lang en_US.UTF-8", 'lang "en_US.UTF-8', "invalid syntax: No closing quotation"),
]


@pytest.mark.parametrize("release", ["rocky9", "rocky10"])
@pytest.mark.parametrize(("was", "now", "problem"), EL9_AND_EL10_CASES)
def test_invalid_kickstart_is_reported(
    text9: str, text10: str, release: str, was: str, now: str, problem: str
) -> None:
    text = text9 if release == "rocky9" else text10
    assert was in text

    problems = [str(p) for p in lint_kickstart(text.replace(was, now), release)]

    assert any(problem in message for message in problems), problems


EL10_CASES = [
    ("zerombr", "zerombr\nauth --enableshadow", "EL10 has no auth; instead: authselect"),
    ("zerombr", "zerombr\nautostep", "EL10 has no autostep; instead: nothing"),
    ("zerombr", "zerombr\nnvdimm use", "EL10 has no nvdimm; instead: nothing"),
    ("zerombr", "zerombr\nlogging --level=info", "EL10 has no logging --level"),
    ("Etc/UTC --utc", "Etc/UTC --isUtc", "EL10 has no timezone --isUtc; instead: --utc"),
    ("Etc/UTC --utc", "Etc/UTC --nontp", "instead: timesource --ntp-disable"),
    ("Etc/UTC --utc", "Etc/UTC --ntpservers=a", "EL10 has no timezone --ntpservers"),
    (KDUMP, f"{KDUMP}\n%end\n%addon com_redhat_oscap", "EL10's installer has no com_redhat_oscap"),
]


@pytest.mark.parametrize(("was", "now", "problem"), EL10_CASES)
def test_commands_removed_in_el10_are_reported_for_rocky10_only(
    text9: str, text10: str, was: str, now: str, problem: str
) -> None:
    el10_problems = [str(p) for p in lint_kickstart(text10.replace(was, now), "rocky10")]
    el9_problems = [str(p) for p in lint_kickstart(text9.replace(was, now), "rocky9")]

    assert any(problem in message for message in el10_problems)
    assert el9_problems == []


def test_invalid_script_is_reported_with_line(text9: str) -> None:
    scripts: list[str] = []

    def shell_check(script: str) -> str:
        scripts.append(script)
        return "line 3: oops" if "visudo" in script else ""

    (problem,) = lint_kickstart(text9, "rocky9", shell_check=shell_check)

    assert problem.text == "%post is not valid shell: line 3: oops"
    assert text9.splitlines()[problem.line - 1] == "%post --erroronfail"
    assert len(scripts) == len(parse_kickstart(text9).scripts())


def test_script_for_other_interpreter_is_not_checked(text9: str) -> None:
    text = text9.replace("%onerror", "%onerror --interpreter=/usr/bin/python3")

    def shell_check(script: str) -> str:
        return "oops" if "HARDPAN-LOG" in script else ""

    assert lint_kickstart(text, "rocky9", shell_check=shell_check) == ()


def test_section_without_end_is_reported() -> None:
    (problem,) = parse_kickstart("%packages\naide\n").problems

    assert str(problem) == "line 1: %packages has no %end"


def test_password_is_not_in_message(text9: str) -> None:
    text = text9.replace("rootpw --lock", "rootpw --iscrypted hunter2")

    assert not any("hunter2" in str(p) for p in lint_kickstart(text, "rocky9"))


def test_problems_are_sorted_by_line(text9: str) -> None:
    text = text9.replace("rootpw --lock", "rootpw x").replace("zerombr", "autopart")

    lines = [p.line for p in lint_kickstart(text, "rocky9")]

    assert lines == sorted(lines)


def test_kickstart_of_more_than_a_megabyte_is_rejected(text9: str) -> None:
    largest = text9 + "#" * (MAX_KICKSTART_BYTES - len(text9.encode()) - 1) + "\n"

    assert lint_or_raise(largest, "rocky9") == largest
    with pytest.raises(KickstartError, match="expected at most 1048576 bytes, got 1048577") as e:
        lint_or_raise(f"#{largest}", "rocky9")
    assert "ssh_keys of users" in e.value.hint


def test_lint_or_raise_returns_text_or_reports_every_problem(text9: str) -> None:
    assert lint_or_raise(text9, "rocky9") == text9
    with pytest.raises(KickstartError, match="the kickstart has problems") as caught:
        lint_or_raise(text9.replace("zerombr", "autopart\nreqpart"), "rocky9")

    assert len(str(caught.value).splitlines()) == 3
