"""A link or a pipe where a file should be."""

from tests.tamper.kit import DEVICE, SYMLINK, Evidence, drop, rezipped


def _in_zip(w, mode):
    rest = drop(w.good, "arf-2.xml")
    return rezipped(rest, add=(("arf-2.xml", b"arf-1.xml"),), mode=mode)


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "symbolic link": lambda w: Evidence(
        files=w.good, archive=_in_zip(w, SYMLINK), special=(("arf-2.xml", "symlink"),)
    ),
    "hard link": lambda w: Evidence(
        files=w.good, archive=_in_zip(w, 0o100644), special=(("arf-2.xml", "hardlink"),)
    ),
    "pipe": lambda w: Evidence(
        files=w.good, archive=_in_zip(w, DEVICE), special=(("arf-2.xml", "fifo"),)
    ),
}
