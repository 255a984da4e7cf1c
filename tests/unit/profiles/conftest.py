"""A good profile to spoil, one setting at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
name: good
title: A good profile
release: rocky9
media: {catalog: rocky9}
system:
  hostname: host1
storage:
  disk_size: 60 GiB
  disk: vda
  encryption:
    mode: none
    reason: A test.
  partitions:
    - {mount: /boot/efi, size: 600 MiB, fstype: efi, options: [umask=0077, nosuid]}
    - {mount: /boot, size: 1 GiB, options: [nodev, nosuid]}
    - {mount: /, size: 20 GiB, grow: true}
    - {mount: /home, size: 1 GiB, options: [nodev, nosuid, noexec]}
    - {mount: /tmp, size: 4 GiB, options: [nodev, nosuid, noexec]}
    - {mount: /var, size: 4 GiB, options: [nodev]}
    - {mount: /var/log, size: 1 GiB, options: [nodev, nosuid, noexec]}
    - {mount: /var/log/audit, size: 10 GiB, options: [nodev, nosuid, noexec]}
    - {mount: /var/tmp, size: 1 GiB, options: [nodev, nosuid, noexec]}
boot:
  superuser: bootwarden
  password_pbkdf2: grub.pbkdf2.sha512.10000.AA00BB11CC22DD33EE44FF5566778899.HASH
  kernel_arguments: [audit=1, audit_backlog_limit=8192, init_on_free=1, page_poison=1,
    pti=on, vsyscall=none]
users:
  - {name: steward, gecos: The steward, groups: [wheel], sudo: nopasswd}
build_user: steward
build_key: keep
fips: true
packages: {install: [aide], remove: [vsftpd]}
services: {enabled: [auditd]}
hardware: {accelerator: none}
machine: {vcpus: 2, memory: 4 GiB, firmware: uefi}
stig:
  content: rhel9
  waivers:
    - {rule: encrypt_partitions, reason: A test., owner: me, expires: 2027-11-30}
layers: [stig]
""".replace("HASH", "0123456789ABCDEF" * 8)


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def profile_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes, name: str = "profile.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return path

    return write
