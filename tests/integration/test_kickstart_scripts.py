"""The kickstarts' own scripts, run by the real shell over a folder instead of a system.

Their absolute paths are moved into the folder. Programs of the boot loader are small stand-ins
that log their arguments; the others (findmnt, sed, grep, find, sort) are this machine's.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.core.process import CompletedProcess, run
from hardpan.kickstart.syntax import parse_kickstart

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[1] / "golden" / "kickstart"
BOOT_UUID = "0b1c4d6e-1111-4222-8333-444455556666"
ENTRY_ID = "0123456789abcdef0123456789abcdef-5.14.0-1.el9.x86_64"
PROGRAMS = {
    "grub2-editenv": 'case $2 in list) grep = "$1" || true ;;'
    ' set) key=${3%%=*}; sed -i "/^$key=/d" "$1"; echo "$3" >> "$1" ;; esac',
    "grub2-probe": f"echo {BOOT_UUID}",
    "grub2-install": 'echo "grub2-install $*" >> ROOT/log; case $* in'
    " *i386-pc*) mkdir -p ROOT/boot/grub2/i386-pc; echo x > ROOT/boot/grub2/i386-pc/core.img ;;"
    " *) mkdir -p ROOT/boot/efi/EFI/BOOT; echo x > ROOT/boot/efi/EFI/BOOT/BOOTX64.EFI ;; esac",
    "lsblk": "printf '%s\\n' '' 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b /dev/vda'"
    " '21686148-6449-6e6f-744e-656564454649 /dev/vda'",
    "poweroff": 'echo "poweroff $*" >> ROOT/log',
    "sleep": 'echo "sleep $*" >> ROOT/log',
    "sync": ":",
}
_PATH = re.compile(
    r"(?<![\w$}.*/\[\]-])/(?!boot/efi(?:[^/]|$))"
    r"(?=(?:boot|etc|proc|sys|dev|usr/lib/grub|usr/lib/hardpan)[/ )\n])"
)
"""An absolute path; a bare /boot/efi is a mount point's name, and /boot alone is never read."""


@dataclass(frozen=True, slots=True)
class System:
    """A folder with the files of an installed system or of an installer."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text("utf-8")

    def log(self) -> list[str]:
        path = self.root / "log"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def run(
        self,
        profile: str,
        section: str,
        text: str,
        *,
        ok: bool = True,
        edit: tuple[str, str] = ("", ""),
    ) -> CompletedProcess:
        """Run the one script of the profile's kickstart that contains ``text``, edited first."""
        document = parse_kickstart((GOLDEN / f"{profile}.ks").read_text("utf-8"))
        (script,) = [s for s in document.scripts(section) if text in s.body]
        if section == "%post" and script is not document.scripts(section)[0]:
            self.run(profile, section, "cat > /usr/lib/hardpan/report-failure.sh")
        body = _PATH.sub(f"{self.root}/", script.body.replace(*edit) if edit[0] else script.body)
        return run(
            ["bash", "-c", body],
            timeout_s=20,
            ok=(0,) if ok else (1, 127),
            env={"PATH": f"{self.root}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )


@pytest.fixture
def system(tmp_path: Path) -> System:
    system = System(tmp_path)
    for name, script in PROGRAMS.items():
        text = f"#!/bin/bash\n{script.replace('ROOT', str(tmp_path))}\n"
        system.write(f"bin/{name}", text).chmod(0o755)
    return system


ANACONDA_ESP = "UUID=AB12-34CD /boot/efi vfat defaults,uid=0,gid=0,umask=077,shortname=winnt 0 2\n"
OPTIONS = "umask=0077,shortname=winnt,nosuid"
FSTAB = f"# /boot/efi is here\n/dev/mapper/vg0-root / xfs defaults 0 0\n{ANACONDA_ESP}"


@pytest.mark.parametrize("profile", ["rocky9-stig", "rocky10-stig", "lab-stig"])
def test_esp_gets_the_profiles_options(system: System, profile: str) -> None:
    system.write("etc/fstab", FSTAB)

    for _ in range(2):  # a second run changes nothing
        system.run(profile, "%post", "--mountpoint /boot/efi")
        assert system.read("etc/fstab").splitlines() == [
            *FSTAB.splitlines()[:2],
            ANACONDA_ESP.strip().replace("umask=077,shortname=winnt", OPTIONS),
        ]


def test_missing_esp_fails_the_install(system: System) -> None:
    system.write("etc/fstab", FSTAB.replace(ANACONDA_ESP, ""))

    system.run("rocky9-stig", "%post", "--mountpoint /boot/efi", ok=False)

    assert "/boot/efi" not in system.read("etc/fstab").replace("# /boot/efi is here", "")


def test_consoles_are_in_the_profiles_order_everywhere(system: System) -> None:
    """As Anaconda leaves them: those of the installer's command line come last."""
    arguments = (
        "root=/dev/mapper/vg0-root ro audit=1 console=tty0 console=ttyS0,115200 rd.shell=0 fips=1"
    )
    expected = (
        "root=/dev/mapper/vg0-root ro audit=1 rd.shell=0 fips=1 console=ttyS0,115200 console=tty0"
    )
    entry = f"boot/loader/entries/{ENTRY_ID}.conf"
    system.write(entry, f"title X *\noptions {arguments} $tuned_params\ngrub_arg --unrestricted\n")
    system.write("etc/default/grub", f'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="{arguments}"\n')
    system.write("etc/kernel/cmdline", f"{arguments}\n")
    system.write("boot/grub2/grubenv", f"# GRUB Environment Block\nkernelopts={arguments}\n")

    system.run("rocky9-stig", "%post", "reorder()")

    assert system.read(entry) == (
        f"title X *\noptions {expected.replace('fips=1', 'fips=1 $tuned_params')}\n"
        "grub_arg --unrestricted\n"
    )
    assert system.read("etc/default/grub") == f'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="{expected}"\n'
    assert system.read("etc/kernel/cmdline") == f"{expected}\n"
    assert f"kernelopts={expected}\n" in system.read("boot/grub2/grubenv")


STUB = (
    f"search --no-floppy --fs-uuid --set=root {BOOT_UUID}\n"
    "set prefix=($root)/grub2\nexport prefix\nconfigfile $prefix/grub.cfg\n"
)
SHIM_FILES = ("BOOT/BOOTX64.EFI", "BOOT/fbx64.efi", "rocky/shimx64.efi", "rocky/grubx64.efi")


def test_uefi_install_gets_grub_for_bios(system: System) -> None:
    for name in SHIM_FILES:
        system.write(f"boot/efi/EFI/{name}", "MZ")
    system.write("boot/efi/EFI/rocky/grub.cfg", "anaconda's\n")

    system.run("rocky9-stig", "%post", "biosboot")

    assert system.log() == ["grub2-install --target=i386-pc /dev/vda"]
    assert system.read("boot/efi/EFI/rocky/grub.cfg") == "anaconda's\n"


def test_bios_install_gets_the_stub_of_the_vendors_loader(system: System) -> None:
    system.write("boot/grub2/i386-pc/core.img", "x")
    for name in SHIM_FILES:
        system.write(f"boot/efi/EFI/{name}", "MZ")

    system.run("rocky10-stig", "%post", "biosboot")

    assert system.log() == []
    assert system.read("boot/efi/EFI/rocky/grub.cfg") == STUB
    assert not (system.root / "boot/efi/EFI/BOOT/grub.cfg").exists()


def test_bios_install_without_shim_gets_a_removable_loader(system: System) -> None:
    system.write("boot/grub2/i386-pc/core.img", "x")
    system.write("usr/lib/grub/x86_64-efi/modinfo.sh", "")
    (system.root / "boot/efi").mkdir(parents=True)

    system.run("lab-stig", "%post", "biosboot")

    assert [x.split()[1] for x in system.log()] == ["--target=x86_64-efi"]


def test_image_without_a_loader_for_uefi_fails(system: System) -> None:
    system.write("boot/grub2/i386-pc/core.img", "x")

    result = system.run("rocky9-stig", "%post", "biosboot", ok=False)

    assert "no " in result.stdout
    assert "EFI/BOOT/BOOTX64.EFI" in result.stdout


GOOD = f"root=/dev/mapper/vg0-root ro boot=UUID={BOOT_UUID} fips=1 $tuned_params"
OLD_ID = ENTRY_ID.replace("5.14.0-1.", "5.14.0-0.")


def write_boot(
    system: System, options: str, *, environment: str = f"saved_entry={ENTRY_ID}\n", cfg: str = ""
) -> None:
    entry = f"title X\nlinux /vmlinuz-5.14.0\noptions {options}\n"
    system.write(f"boot/loader/entries/{ENTRY_ID}.conf", entry if options else "title X\n")
    system.write("boot/grub2/grubenv", f"# GRUB Environment Block\n{environment}####\n")
    system.write("boot/grub2/grub.cfg", cfg)


@pytest.mark.parametrize("profile", ["rocky9-stig", "rocky10-stig", "lab-stig"])
def test_fips_boot_entry_passes(system: System, profile: str) -> None:
    write_boot(system, GOOD)

    assert system.run(profile, "%post", "saved_entry").stdout == ""


@pytest.mark.parametrize(
    ("options", "environment", "cfg"),
    [
        ("$kernelopts $tuned_params", f"saved_entry={ENTRY_ID}\nkernelopts={GOOD}\n", ""),
        ("$kernelopts", f"saved_entry={ENTRY_ID}\n", f'  set kernelopts="{GOOD}"\n'),
        ("", f"kernelopts={GOOD}\n", ""),
        (GOOD, "", ""),
    ],
    ids=["grubenv", "grub.cfg", "no options line", "no saved entry"],
)
def test_fips_arguments_in_grubs_variables_pass(
    system: System, options: str, environment: str, cfg: str
) -> None:
    write_boot(system, options, environment=environment, cfg=cfg)

    assert system.run("rocky9-stig", "%post", "saved_entry").stdout == ""


SAVED = f"saved_entry={ENTRY_ID}\n"
FIPS_FAULTS = [
    (GOOD.replace(" fips=1", ""), SAVED, "expected fips=1, got 'fips='"),
    (GOOD.replace("fips=1", "fips=1 fips=0"), SAVED, "got 'fips=0'"),
    (GOOD.replace("fips=1", "nofips=1"), SAVED, "expected fips=1, got"),
    (
        GOOD.replace("boot=", "xboot="),
        SAVED,
        "expected boot=UUID=",
    ),
    (
        GOOD.replace(BOOT_UUID, "AB12-34CD"),
        SAVED,
        "got 'boot=UUID=AB12-34CD'",
    ),
    (GOOD, "saved_entry=gone\n", "GRUB's saved entry is 'gone'"),
    ("$kernelopts", f"{SAVED}kernelopts=ro quiet\n", "expected fips=1"),
    (GOOD, f"saved_entry={OLD_ID}\n", "expected fips=1"),
]


@pytest.mark.parametrize("profile", ["rocky9-stig", "rocky10-stig"])
@pytest.mark.parametrize(("options", "environment", "problem"), FIPS_FAULTS)
def test_entry_that_boots_without_fips_fails(
    system: System, profile: str, options: str, environment: str, problem: str
) -> None:
    """Another entry and the later kernels' arguments have everything; they prove nothing."""
    write_boot(system, options, environment=environment)
    system.write(f"boot/loader/entries/{OLD_ID}.conf", "title old\noptions ro\n")
    system.write("boot/loader/entries/other-1.conf", f"options {GOOD}\n")
    system.write("etc/kernel/cmdline", f"{GOOD}\n")

    assert problem in system.run(profile, "%post", "saved_entry", ok=False).stdout


PORT = "dev/virtio-ports/dev.hardpan.install.0"


def write_installer(
    system: System, *, fips: str = "1", disk: str = "vda", port: bool = True
) -> None:
    system.write("proc/sys/crypto/fips_enabled", f"{fips}\n")
    system.write(f"sys/class/block/{disk}/size", "1\n")
    system.write(f"sys/block/{disk}/size", "1\n")
    for name in ("dev/console", "dev/tty0", *((PORT,) if port else ())):
        system.write(name, "")


def test_pre_script_is_silent_if_all_is_right(system: System) -> None:
    write_installer(system)

    system.run("rocky9-stig", "%pre", "fips_enabled")

    assert system.log() == []
    assert system.read(PORT) == ""


@pytest.mark.parametrize("profile", ["rocky9-stig", "rocky10-stig", "lab-stig"])
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"fips": "0"}, "the profile requires FIPS mode, but the installer was not started with"),
        (
            {"disk": "nvme0n1"},
            "the profile installs to the disk vda, and this machine has: nvme0n1",
        ),
    ],
)
def test_failing_pre_script_reports_and_powers_off(
    system: System, profile: str, state: dict[str, str], message: str
) -> None:
    write_installer(system, **state)  # type: ignore[arg-type]

    system.run(profile, "%pre", "fips_enabled", ok=False)

    for name in (PORT, "dev/console", "dev/tty0"):
        assert system.read(name).startswith(
            f"HARDPAN-INSTALL: failed: before the installation: {message}"
        )
    assert system.log() == ["poweroff -f"]


def test_unexpected_failure_of_the_pre_script_is_reported(system: System) -> None:
    write_installer(system)

    system.run(
        "rocky9-stig",
        "%pre",
        "fips_enabled",
        ok=False,
        edit=("# Cannot", "nosuchprogram\n# Cannot"),
    )

    (first, *_) = system.read("dev/tty0").splitlines()
    assert first.startswith("HARDPAN-INSTALL: failed: before the installation: ")
    assert first.endswith("nosuchprogram: command not found")
    assert system.log() == ["poweroff -f"]


def test_failing_pre_script_waits_for_a_person_without_a_builder(system: System) -> None:
    write_installer(system, fips="0", port=False)

    system.run("rocky9-stig", "%pre", "fips_enabled", ok=False)

    assert system.log() == ["sleep 60", "poweroff -f"]


def test_failing_post_script_reports_and_powers_off(system: System) -> None:
    """Anaconda would wait for a key; %onerror does not run."""
    for name in (PORT, "dev/console", "dev/tty0"):
        system.write(name, "")
    system.write("etc/fstab", FSTAB.replace(ANACONDA_ESP, ""))

    system.run("rocky9-stig", "%post", "--mountpoint /boot/efi", ok=False)

    for name in (PORT, "dev/console", "dev/tty0"):
        assert system.read(name) == (
            "HARDPAN-INSTALL: failed: mount options of /boot/efi: exit status 1\n"
        )
    assert system.log() == ["poweroff -f"]


def test_post_script_that_succeeds_leaves_no_file(system: System) -> None:
    system.write(PORT, "")
    system.write("etc/fstab", FSTAB)
    folder = system.root / "tmp"
    folder.mkdir()

    system.run(
        "rocky9-stig",
        "%post",
        "--mountpoint /boot/efi",
        edit=("errors=$(mktemp)", f"errors=$(mktemp -p {folder})"),
    )

    assert list(folder.iterdir()) == []
    assert system.read(PORT) == ""
    assert system.log() == []
