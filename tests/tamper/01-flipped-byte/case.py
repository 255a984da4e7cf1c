"""One byte flipped in each attached file."""

from tests.tamper.kit import UNSIGNED, Evidence, Workshop


def _flip(w: Workshop) -> list[Evidence]:
    made = []
    for name in sorted(set(w.good) - set(UNSIGNED)):
        data = bytearray(w.good[name])
        data[len(data) // 2] ^= 1
        made.append(Evidence(files={**w.good, name: bytes(data)}, file=name))
    return made


def _flip_copies(w: Workshop) -> list[Evidence]:
    made = []
    for name in ("statement.json", "statement.sig", "evidence.tsr"):
        data = bytearray(w.good[name])
        data[len(data) // 2] ^= 1
        made.append(Evidence(files={**w.good, name: bytes(data)}))
    return made


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "each attached file": _flip,
    "each copy beside the bundle": _flip_copies,
}
