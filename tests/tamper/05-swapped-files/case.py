"""Two listed files are exchanged."""

from tests.tamper.kit import Evidence


def _swap(kit):
    first, second = kit.valid_files["arf-1.xml"], kit.valid_files["arf-2.xml"]
    return Evidence(
        files={**kit.valid_files, "arf-1.xml": second, "arf-2.xml": first}, file="arf-1.xml"
    )


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files, file="arf-1.xml"),
    "swapped": _swap,
}
