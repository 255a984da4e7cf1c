"""An ARF of a scan with upstream's whole data stream, and what a report needs beside it."""

import pickle
from pathlib import Path

from lxml import etree

from hardpan.errors import InputError
from hardpan.files import atomic_path, sha256_bytes
from hardpan.process import run
from hardpan.profiles.upstream import RULE_PREFIX
from hardpan.scanners import arf
from hardpan.scanners.content.benchmark import full_profile_id, read
from hardpan.scanners.content.datastream import find
from hardpan.scanners.content.prepare import Part, Prepared
from hardpan.scanners.content.split import HEAVY_S
from hardpan.scanners.content.xml import DS, XCCDF, Element, load, parser, remove, save
from hardpan.scanners.model import Content, ContentOrigin

_PLATFORM_LANGUAGE = "{http://cpe.mitre.org/language/2.0}platform-specification"
_LIMIT_S = 3600


def made(cache: Path) -> Path:
    """The ARF of a scan of this machine by the RHEL 9 STIG; scanned once for each content.

    The content is made applicable to any system by taking its platforms out. The rules that
    walk the whole file system are skipped: they take minutes and write a few lines each.
    """
    source = find("rhel9")
    path = cache / "bench-report" / f"rhel9-stig-{source.sha256[:16]}.arf.xml"
    if path.exists():
        return path
    root = load(source.data, source.name)
    applicable(root)
    with atomic_path(path) as temp:
        stream = temp.with_name("ds.xml")
        stream.write_bytes(save(root))
        argv: list[str | Path] = ["oscap", "xccdf", "eval", "--skip-validation"]
        for rule in HEAVY_S:
            argv += ["--skip-rule", RULE_PREFIX + rule]
        argv += ["--profile", full_profile_id("stig"), "--results-arf", temp, stream]
        run(argv, timeout_s=_LIMIT_S, ok=(0, 2))
    return path


def applicable(root: Element) -> int:
    """Take every platform out of a data stream's benchmark; how many there were.

    The list that conditions are defined in goes too: openscap-report fails on one whose
    conditions nobody evaluated.
    """
    found = [*root.iter(XCCDF + "platform"), *root.iter(_PLATFORM_LANGUAGE)]
    for element in found:
        remove(element)
    return len(found)


def prepare(file: Path, to: Path) -> int:
    """Write what a scan knows of its content before it begins; how many rules were evaluated.

    It is read out of the very content in the ARF.

    Raises:
        InputError: the ARF does not hold its content.
    """
    found = arf.parse([file.read_bytes()], name=file.name)
    stream = etree.parse(file, parser()).getroot().find(f".//{DS}data-stream-collection")
    if stream is None:
        raise InputError(f"{file}: an ARF without the content it was made with")
    bench = read(stream, found.profile_id, file.name)
    sha256 = sha256_bytes(etree.tostring(stream))
    content = Content(
        name=file.name,
        version=bench.version,
        source_sha256=sha256,
        derived_sha256=sha256,
        origin="the ARF",
        origin_kind=ContentOrigin.FILE,
        date=bench.date,
        derivation="",
    )
    part = Part(data=b"", sha256=sha256, rule_ids=tuple(found.rules))
    to.write_bytes(pickle.dumps(Prepared(content=content, benchmark=bench, parts=(part,))))
    return len(found.rules)
