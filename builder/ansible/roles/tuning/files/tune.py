#!/usr/bin/python3 -I
"""Apply the tuning of a plan; the plan is the only argument.

Only files are changed: the host is rebooted before use.
"""

import json
import re
import sys
from pathlib import PurePosixPath

from host import Host

TUNED_MAIN = "/etc/tuned/tuned-main.conf"
WANTS_DIR = "/etc/systemd/system/multi-user.target.wants"
STATIC_SYSCTL = "/etc/sysctl.d/90-hardpan-tuning.conf"
STATIC_TMPFILES = "/etc/tmpfiles.d/hardpan-tuning.conf"
GPU_UNIT = "hardpan-gpu-policy.service"


def main() -> None:
    """Apply the plan."""
    plan, host = json.loads(sys.argv[1]), Host()
    if plan["manager"] == "tuned":
        activate_profile(host, plan["name"], plan["profile"], find_profile_folder(host))
        host.remove(STATIC_SYSCTL)
        host.remove(STATIC_TMPFILES)
    else:
        host.write(STATIC_SYSCTL, plan["sysctl"])
        host.write(STATIC_TMPFILES, plan["tmpfiles"])
        if host.exists("/usr/lib/systemd/system/tuned.service"):
            host.link("/etc/systemd/system/tuned.service", "/dev/null")
            host.remove(f"{WANTS_DIR}/tuned.service")
    for unit in plan["memlock_units"]:
        name = f"/etc/systemd/system/{unit}.d/50-hardpan-memlock.conf"
        host.write(name, "[Service]\nLimitMEMLOCK=infinity\n")
    if plan["gpu_unit"]:
        host.write(f"/etc/systemd/system/{GPU_UNIT}", plan["gpu_unit"])
        host.link(f"{WANTS_DIR}/{GPU_UNIT}", f"../{GPU_UNIT}")
    else:
        host.remove(f"{WANTS_DIR}/{GPU_UNIT}")
        host.remove(f"/etc/systemd/system/{GPU_UNIT}")
    host.report()


def find_profile_folder(host: Host) -> str:
    """Return the folder from which this build of tuned reads a site's profiles.

    It was /etc/tuned and became /etc/tuned/profiles; the distribution decides at build time.
    So tuned itself is queried: its configuration first, then its code.
    """
    try:
        from tuned import consts  # type: ignore[import-not-found]
    except ImportError:
        sys.exit("tuned is not installed: the profile's packages have to name it")
    profile_dirs = re.findall(r"(?m)^\s*profile_dirs\s*=\s*(.+?)\s*$", host.read(TUNED_MAIN))
    if profile_dirs:
        folders = [x.strip() for x in profile_dirs[-1].split(",")]
    else:
        folders = getattr(consts, "CFG_DEF_PROFILE_DIRS", None) or getattr(
            consts, "LOAD_DIRECTORIES", []
        )
    site_folders = [x for x in folders if PurePosixPath("/etc") in PurePosixPath(x).parents]
    if not site_folders:
        sys.exit(f"tuned reads profiles from {', '.join(folders) or 'nowhere'}, none below /etc")
    return str(site_folders[-1])


def activate_profile(host: Host, name: str, text: str, folder: str) -> None:
    """Make tuned use this profile from the next boot."""
    is_changed = host.write(f"{folder}/{name}/tuned.conf", text)
    host.write("/etc/tuned/active_profile", f"{name}\n")
    host.write("/etc/tuned/profile_mode", "manual\n")
    # tuned then applies /etc/sysctl.d after its own settings: the STIG's values win.
    old_text = host.read(TUNED_MAIN)
    new_text = re.sub(r"(?m)^\s*reapply_sysctl\s*=.*$", "reapply_sysctl = 1", old_text)
    if "reapply_sysctl = 1" not in new_text.splitlines():
        new_text += "reapply_sysctl = 1\n"
    host.write(TUNED_MAIN, new_text)
    mask = "/etc/systemd/system/tuned.service"
    if host.path(mask).is_symlink():
        host.remove(mask)
    host.link(f"{WANTS_DIR}/tuned.service", "/usr/lib/systemd/system/tuned.service")
    if is_changed and f"- {name}" not in host.run("tuned-adm", "list"):
        sys.exit(f"tuned does not see the profile {name} in {folder}")


if __name__ == "__main__":
    main()
