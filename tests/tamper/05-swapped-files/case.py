"""Two listed files change places."""

from tests.tamper.kit import Evidence


def _swap(kit):
    one, two = kit.valid_files["arf-1.xml"], kit.valid_files["arf-2.xml"]
    return Evidence(files={**kit.valid_files, "arf-1.xml": two, "arf-2.xml": one}, file="arf-1.xml")


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files, file="arf-1.xml"),
    "swapped": _swap,
}
