"""One byte flipped in each attached file."""

from tests.tamper.kit import UNSIGNED, Evidence, TamperKit


def _flip(kit: TamperKit) -> list[Evidence]:
    forged = []
    for name in sorted(set(kit.valid_files) - set(UNSIGNED)):
        data = bytearray(kit.valid_files[name])
        data[_find_text(data)] ^= 1
        forged.append(Evidence(files={**kit.valid_files, name: bytes(data)}, file=name))
    return forged


def _find_text(data: bytearray) -> int:
    """The position of a letter in prose, so that a document still parses; else the middle."""
    middle = len(data) // 2
    blank = data.find(b" ", middle)
    return middle if blank <= middle else blank - 1


def _flip_copies(kit: TamperKit) -> list[Evidence]:
    forged = []
    for name in ("statement.json", "statement.sig", "evidence.tsr"):
        data = bytearray(kit.valid_files[name])
        data[len(data) // 2] ^= 1
        forged.append(Evidence(files={**kit.valid_files, name: bytes(data)}))
    return forged


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "each attached file": _flip,
    "each copy beside the bundle": _flip_copies,
}
