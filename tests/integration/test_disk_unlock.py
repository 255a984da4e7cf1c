"""The kickstart's script binds a real LUKS disk to a TPM and to a Tang server.

It runs over this machine's cryptsetup and clevis in a small guest, because device mapper and a TPM
are needed. The disk of / is formatted by the first start; later starts open it as a boot does.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.builder.vm.network import WEB_SERVICE_URL
from hardpan.core.process import run
from hardpan.core.resources import resource_path
from tests.integration.small_guest import SmallGuest, build_root, pack_initramfs

pytestmark = [pytest.mark.integration, pytest.mark.system]

PASSPHRASE = "correct-horse-battery-staple"
_DISK_BYTES = 192 << 20
_PROGRAMS = (
    *("bash", "sh", "mount", "umount", "modprobe", "mkfs.ext4", "ip", "blkid", "lsblk", "findmnt"),
    *("cat", "chroot", "cp", "cut", "dd", "echo", "env", "head", "base32", "ls", "mkdir", "mktemp"),
    *(
        "ln",
        "mv",
        "printf",
        "rm",
        "shred",
        "sleep",
        "sort",
        "stat",
        "sync",
        "tail",
        "tr",
        "uname",
        "wc",
    ),
    *("test", "true", "touch", "tee", "id", "readlink", "dirname", "basename", "seq", "chmod"),
    *("grep", "sed", "awk", "xargs", "cryptsetup", "curl", "jq", "jose", "luksmeta", "pwmake"),
    *("sha256sum", "tpm2_createprimary", "tpm2_pcrread", "tpm2_createpolicy", "tpm2_create"),
    *("tpm2_load", "tpm2_unseal", "tpm2_flushcontext", "tpm2_getcap", "tpm2_policypcr"),
    *("tpm2_startauthsession", "tpm2", "busybox"),
)
_LIBRARIES = ("libtss2-tcti-device*", "libgcc_s.so*", "ossl-modules/*", "libnss_files*")
_INIT = f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t devtmpfs dev /dev; mount -t tmpfs run /run; ln -s /proc/self/fd /dev/fd
modprobe -a dm_mod dm_crypt xts aesni_intel virtio_blk virtio_net algif_skcipher
ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up
for word in $(cat /proc/cmdline); do case $word in action=*|pin=*) eval "$word";; esac; done
folder=/etc/hardpan/disk-unlock
volume_key() {{
    cryptsetup luksDump --batch-mode --dump-volume-key --key-file "$1" /dev/vda |
        sed -n '/MK dump/,$p' | sha256sum | cut -c 1-64
}}
enter() {{
    mkdir -p /mnt && mount /dev/mapper/root /mnt || return 1
    for name in proc sys dev run; do mount --bind /$name /mnt/$name; done
}}
printf %s {PASSPHRASE} > /build
case $action in
format)
    cryptsetup luksFormat --batch-mode --type luks2 --pbkdf pbkdf2 --key-file /build /dev/vda
    cryptsetup open --key-file /build /dev/vda root
    mkfs.ext4 -q /dev/mapper/root
    mkdir -p /mnt && mount /dev/mapper/root /mnt
    cp -a /bin /sbin /lib /lib64 /usr /var /mnt/ && mkdir -p /mnt/proc /mnt/sys /mnt/dev /mnt/run \\
        /mnt/tmp /mnt/root /mnt/etc /mnt$folder /mnt/usr/lib/hardpan
    cp /etc/passwd /mnt/etc/
    cp /build /mnt$folder/passphrase && touch /mnt$folder/reencrypt
    echo "FACT key $(volume_key /build)"
    ;;
first)
    cryptsetup open --key-file /build /dev/vda root && enter || echo "FACT closed yes"
    cp /pin-$pin.json /mnt$folder/pin.json
    cp /disk-unlock.sh /mnt/usr/lib/hardpan/
    chroot /mnt /bin/sh /usr/lib/hardpan/disk-unlock.sh $pin 2>&1
    echo "FACT status $?"
    ;;
boot)
    if clevis luks unlock -d /dev/vda -n root; then
        echo "FACT unlocked yes"
        enter && cp /mnt/root/hardpan-recovery-key /recovery
        echo "FACT left $(ls -A /mnt$folder | tr '\\n' ' ')"
        echo "FACT mode $(stat -c %a /mnt/root/hardpan-recovery-key)"
        echo "FACT key $(volume_key /recovery)"
        echo "FACT pbkdf $(cryptsetup luksDump /dev/vda | sed -n 's/.*PBKDF: *//p' | sort -u)"
    else
        echo "FACT unlocked no"
    fi
    cryptsetup open --test-passphrase --key-file /build /dev/vda && echo "FACT build yes" ||
        echo "FACT build no"
    ;;
esac
umount -R /mnt; sync
echo o > /proc/sysrq-trigger; sleep 60
"""


@dataclass(frozen=True)
class TangServer:
    """Keys of a server, and the program that answers a connection with them."""

    keys: Path
    thumbprint: str

    @property
    def program(self) -> tuple[str, ...]:
        # QEMU connects stderr as well, and tangd logs to it.
        script = 'exec /usr/libexec/tangd "$1" 2> /dev/null'
        return ("sh", "-c", script, "sh", str(self.keys))


@pytest.fixture(scope="module")
def tang(tmp_path_factory: pytest.TempPathFactory) -> TangServer:
    keys = tmp_path_factory.mktemp("tang")
    run(["/usr/libexec/tangd-keygen", keys, "signing", "exchange"], timeout_s=60)
    argv = ["jose", "jwk", "thp", "-a", "S256", "-i", keys / "signing.jwk"]
    return TangServer(keys=keys, thumbprint=run(argv, timeout_s=60).stdout.strip())


@pytest.fixture(scope="module")
def small_guest(
    lab_media: dict[str, object], tang: TangServer, tmp_path_factory: pytest.TempPathFactory
) -> SmallGuest:
    folder = tmp_path_factory.mktemp("guest")
    kernel = unpack_kernel(Path(str(lab_media["iso"])), folder)
    (modules,) = (kernel / "usr/lib/modules").iterdir()
    root = folder / "root"
    clevis = [str(path) for path in Path("/usr/bin").glob("clevis*")]
    build_root(
        root,
        programs=[*_PROGRAMS, *clevis],
        libraries=_LIBRARIES,
        # pwmake's dictionary.
        folders=["/var/cache/cracklib"],
        modules=modules,
    )
    (root / "init").write_text(_INIT, "utf-8")
    (root / "init").chmod(0o755)
    for name in ("proc", "sys", "dev", "run", "tmp", "root", "etc"):
        (root / name).mkdir()
    # clevis makes keys with pwmake, which looks for the user in this file.
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    script = resource_path("hardpan.kickstart", "templates") / "_disk_unlock.sh"
    (root / "disk-unlock.sh").write_bytes(script.read_bytes())
    (root / "pin-tpm2.json").write_text('{"pcr_bank":"sha256","pcr_ids":"7"}\n')
    settings = f'{{"url":"{WEB_SERVICE_URL}","thp":"{tang.thumbprint}"}}\n'
    (root / "pin-tang.json").write_text(settings)
    run(["depmod", "-b", root, modules.name], timeout_s=60)
    pack_initramfs(root, folder / "initramfs")
    (image,) = (kernel / "boot").glob("vmlinuz-*")
    return SmallGuest(kernel=image, initramfs=folder / "initramfs")


def unpack_kernel(iso: Path, folder: Path) -> Path:
    """Unpack the lab media's kernel package."""
    argv = ["xorriso", "-osirrox", "on", "-indev", iso]
    run([*argv, "-extract", "/BaseOS/Packages", folder / "packages"], timeout_s=300)
    (package,) = (folder / "packages").glob("kernel-core-*.rpm")
    (folder / "kernel").mkdir()
    script = 'cd "$1" && rpm2cpio "$2" | cpio -idm --quiet'
    run(["sh", "-c", script, "sh", folder / "kernel", package], timeout_s=120)
    return folder / "kernel"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(_DISK_BYTES)
    return path


@pytest.mark.parametrize("pin", ["tpm2", "tang"])
def test_disk_is_reencrypted_and_bound(
    small_guest: SmallGuest, tang: TangServer, disk: Path, tmp_path: Path, pin: str
) -> None:
    tpm = tmp_path / "tpm" if pin == "tpm2" else None
    service = tang.program if pin == "tang" else ()

    image = small_guest.start(disk, "action=format", log=tmp_path / "format.log")
    bound = small_guest.start(
        disk,
        f"action=first pin={pin}",
        log=tmp_path / "first.log",
        tpm_state=tpm,
        web_service=service,
    )
    booted = small_guest.start(
        disk, "action=boot", log=tmp_path / "boot.log", tpm_state=tpm, web_service=service
    )
    other_tpm = tmp_path / "other-tpm" if pin == "tpm2" else None
    moved = small_guest.start(disk, "action=boot", log=tmp_path / "moved.log", tpm_state=other_tpm)

    assert bound["status"] == "0", (tmp_path / "first.log").read_text("utf-8", "replace")
    assert booted["unlocked"] == "yes"
    assert booted["build"] == "no"
    assert booted["left"].strip() == ""
    assert booted["mode"] == "600"
    assert booted["pbkdf"] == "pbkdf2"
    assert len(image["key"]) == len(booted["key"]) == 64
    assert booted["key"] != image["key"]
    assert moved["unlocked"] == "no"


def test_machine_without_tpm_keeps_the_passphrase(
    small_guest: SmallGuest, disk: Path, tmp_path: Path
) -> None:
    small_guest.start(disk, "action=format", log=tmp_path / "format.log")

    failed = small_guest.start(disk, "action=first pin=tpm2", log=tmp_path / "first.log")
    assert failed["status"] != "0"
    repeated = small_guest.start(
        disk, "action=first pin=tpm2", log=tmp_path / "second.log", tpm_state=tmp_path / "tpm"
    )

    assert repeated["status"] == "0"
