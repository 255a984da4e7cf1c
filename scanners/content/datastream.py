"""Finds the source data stream to scan with, and says where it came from."""

from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import HardpanError, InputError, ToolError
from hardpan.events import Emit, stage
from hardpan.files import Sha256, sha256_bytes
from hardpan.scanners.content import apt
from hardpan.scanners.content.xml import load, read

PRODUCTS = ("rhel9", "rhel10")
LOCAL = Path("/usr/share/xml/scap/ssg/content")
_HINT = "give a data stream with --content FILE, or install scap-security-guide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source data stream as upstream made it."""

    path: Path
    sha256: Sha256
    origin: str
    """Where it came from, in words: ``Debian ssg-nondebian 0.1.82-1``, ``--content FILE``."""

    data: bytes
    """The file's bytes: what was digested is what is used."""


def find(product: str, *, cache: Path, emit: Emit) -> Source:
    """The newest content for a product, from Debian's archive, the cache, or this machine.

    Debian's archive comes first, because it has the newest; without a network
    what was fetched before is taken, and then what is installed.

    Raises:
        InputError: an unknown product.
        ToolError: none of the three has it.
    """
    name = _name(product)
    with stage(emit, "content") as note:
        failed = ""
        if apt.usable():
            try:
                return _packaged(apt.fetch(cache, note), name)
            except ToolError as e:
                failed = f": {e}"
                note(f"Debian's archive does not help: {e}")
        kept = apt.cached(cache)
        if kept is not None and (kept.folder / name).is_file():
            note(f"taking {kept.version} from an earlier run")
            return _packaged(kept, name)
        if (LOCAL / name).is_file():
            note(f"taking what is installed in {LOCAL}")
            return _source(LOCAL / name, f"installed on the scanning machine, {LOCAL / name}")
    raise ToolError([name], f"is nowhere to be had{failed}", hint=_HINT)


def look(product: str, *, cache: Path) -> tuple[Source | None, bool]:
    """What is at hand without asking anybody, and whether ``find`` would ask Debian's archive.

    Raises:
        InputError: an unknown product.
        ToolError: nothing is at hand and nobody could be asked.
    """
    name = _name(product)
    asks = apt.usable()
    kept = apt.cached(cache)
    if kept is not None and (kept.folder / name).is_file():
        return _packaged(kept, name), asks
    if asks:
        return None, True
    if (LOCAL / name).is_file():
        return _source(LOCAL / name, f"installed on the scanning machine, {LOCAL / name}"), False
    raise ToolError([name], "is nowhere to be had", hint=_HINT)


def _name(product: str) -> str:
    if product not in PRODUCTS:
        raise InputError(f"no content for {product!r}", hint=f"known: {', '.join(PRODUCTS)}")
    return f"ssg-{product}-ds.xml"


def from_file(path: Path) -> Source:
    """The data stream in a file that a person named.

    Raises:
        InputError: it cannot be read, or is not a data stream.
    """
    found = _source(path, f"--content {path.name}")
    load(found.data, path.name)
    return found


def _packaged(package: apt.Package, name: str) -> Source:
    path = package.folder / name
    try:
        return _source(path, f"Debian {apt.PACKAGE} {package.version}")
    except HardpanError as e:
        raise ToolError([apt.PACKAGE], f"{package.version} has no {name}", hint=_HINT) from e


def _source(path: Path, origin: str) -> Source:
    data = read(path)
    return Source(path=path, sha256=sha256_bytes(data), origin=origin, data=data)
