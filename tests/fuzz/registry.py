"""All fuzz targets: one file each in ``targets``, with a function ``target(folder)``."""

from importlib import import_module
from pathlib import Path

from tests.fuzz.target import FuzzTarget

NAMES = tuple(sorted(p.stem for p in (Path(__file__).parent / "targets").glob("[!_]*.py")))


def load_target(name: str, folder: Path) -> FuzzTarget:
    """The target of this name; it may write into ``folder``."""
    loaded: FuzzTarget = import_module(f"tests.fuzz.targets.{name}").target(folder)
    return loaded
