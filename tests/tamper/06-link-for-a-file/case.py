"""A link or a pipe instead of a file."""

from tests.tamper.kit import DEVICE, SYMLINK, Evidence, build_zip, without_files


def _in_zip(kit, mode):
    others = without_files(kit.valid_files, "arf-2.xml")
    return build_zip(others, add=(("arf-2.xml", b"arf-1.xml"),), mode=mode)


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "symbolic link": lambda kit: Evidence(
        files=kit.valid_files, archive=_in_zip(kit, SYMLINK), special=(("arf-2.xml", "symlink"),)
    ),
    "hard link": lambda kit: Evidence(
        files=kit.valid_files, archive=_in_zip(kit, 0o100644), special=(("arf-2.xml", "hardlink"),)
    ),
    "pipe": lambda kit: Evidence(
        files=kit.valid_files, archive=_in_zip(kit, DEVICE), special=(("arf-2.xml", "fifo"),)
    ),
}
