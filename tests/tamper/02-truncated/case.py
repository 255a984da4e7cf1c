"""A file or the bundle is truncated."""

from tests.tamper.kit import BUNDLE, Evidence, TamperKit


def _file(kit: TamperKit) -> list[Evidence]:
    data = kit.valid_files["arf-1.xml"]
    lengths = (0, 1, len(data) // 2, len(data) - 1)
    return [
        Evidence(files={**kit.valid_files, "arf-1.xml": data[:n]}, file="arf-1.xml")
        for n in lengths
    ]


def _bundle(kit: TamperKit) -> list[Evidence]:
    data = kit.valid_files[BUNDLE]
    lengths = [*range(0, len(data), 997), len(data) - 1]
    return [Evidence(files={**kit.valid_files, BUNDLE: data[:n]}) for n in lengths]


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "an attached file": _file,
    "the bundle": _bundle,
}
