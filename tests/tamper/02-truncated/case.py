"""A file or the bundle cut short."""

from tests.tamper.kit import BUNDLE, Evidence, Workshop


def _file(w: Workshop) -> list[Evidence]:
    data = w.good["arf-1.xml"]
    lengths = (0, 1, len(data) // 2, len(data) - 1)
    return [Evidence(files={**w.good, "arf-1.xml": data[:n]}, file="arf-1.xml") for n in lengths]


def _bundle(w: Workshop) -> list[Evidence]:
    data = w.good[BUNDLE]
    lengths = [*range(0, len(data), 997), len(data) - 1]
    return [Evidence(files={**w.good, BUNDLE: data[:n]}) for n in lengths]


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "an attached file": _file,
    "the bundle": _bundle,
}
