# SPDX-License-Identifier: GPL-2.0-or-later
"""Users, groups, passwords and SSH keys of the new system."""

import os
import time
from pathlib import Path

from .config_files import set_shadow_password
from .plan import InstallError, SystemSettings, UserAccount
from .process import SYSROOT, run

_DAY_S = 86400


def useradd_argv(user: UserAccount) -> list[str]:
    """The command that makes a user; the password is set afterwards, not in argv."""
    argv = ["useradd", "--create-home"]
    if user.groups:
        argv += ["--groups", ",".join(user.groups)]
    if user.uid is not None:
        argv += ["--uid", str(user.uid)]
    if user.gid is not None:
        argv += ["--gid", str(user.gid)]
    if user.gecos:
        argv += ["--comment", user.gecos]
    if user.home:
        argv += ["--home-dir", user.home]
    if user.shell:
        argv += ["--shell", user.shell]
    return [*argv, user.name]


def create_accounts(system: SystemSettings) -> None:
    """Make all accounts.

    Raises:
        InstallError: an account cannot be created.
    """
    for group in system.groups:
        number = ["--gid", str(group.gid)] if group.gid is not None else []
        run(["groupadd", *number, group.name], chroot=True, timeout_s=60)
    for user in system.users:
        _create_missing_groups(user)
        run(useradd_argv(user), chroot=True, timeout_s=60)
    path = SYSROOT / "etc/shadow"
    text = path.read_text("utf-8")
    day = int(time.time()) // _DAY_S
    for name, password in (("root", system.root), *((u.name, u.password) for u in system.users)):
        text = set_shadow_password(text, name, password, day)
    path.write_text(text, "utf-8")
    for name, key in system.ssh_keys:
        _add_authorized_key(name, key)


def _create_missing_groups(user: UserAccount) -> None:
    """EL's installer makes the groups of a user that are missing."""
    lines = (SYSROOT / "etc/group").read_text("utf-8").splitlines()
    existing = {line.partition(":")[0] for line in lines}
    for group in user.groups:
        if group not in existing:
            run(["groupadd", group], chroot=True, timeout_s=60)


def _add_authorized_key(name: str, key: str) -> None:
    uid, gid, home = _find_user(name)
    folder = SYSROOT / home.lstrip("/") / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "authorized_keys"
    with path.open("a", encoding="utf-8") as f:
        f.write(f"{key}\n")
    path.chmod(0o600)
    for owned_path in (folder, path):
        os.chown(owned_path, uid, gid)


def _find_user(name: str, passwd: Path | None = None) -> tuple[int, int, str]:
    path = passwd or SYSROOT / "etc/passwd"
    for line in path.read_text("utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3]), fields[5]
    raise InstallError(f"the new system has no user {name!r}")
