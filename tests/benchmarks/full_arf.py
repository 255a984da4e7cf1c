"""An ARF of a scan with upstream's complete data stream, and the content model for a report."""

import pickle
from pathlib import Path

from lxml import etree

from hardpan.core.errors import InputError
from hardpan.core.files import atomic_path, sha256_bytes
from hardpan.core.process import run
from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.content.benchmark import expand_profile_id, read_benchmark
from hardpan.scanners.content.datastream import find
from hardpan.scanners.content.partition import RULE_COST_S
from hardpan.scanners.content.prepare import PreparedContent, StreamPart
from hardpan.scanners.content.scap_xml import (
    DS,
    XCCDF,
    Element,
    create_parser,
    parse_data_stream,
    remove_element,
    serialize,
)
from hardpan.scanners.model.scan import ContentOrigin, ScapContent
from hardpan.scanners.openscap.arf import results

_PLATFORM_LANGUAGE = "{http://cpe.mitre.org/language/2.0}platform-specification"
_LIMIT_S = 3600


def ensure_arf(cache: Path) -> Path:
    """The ARF of a scan of this machine by the RHEL 9 STIG; scanned once for each content.

    Its platforms are removed, so that the content applies to any system. The rules that
    walk the whole file system are skipped: they take minutes and write a few lines each.
    """
    source = find("rhel9")
    path = cache / "bench-report" / f"rhel9-stig-{source.sha256[:16]}.arf.xml"
    if path.exists():
        return path
    root = parse_data_stream(source.data, source.name)
    remove_platforms(root)
    with atomic_path(path) as temp:
        stream = temp.with_name("ds.xml")
        stream.write_bytes(serialize(root))
        argv: list[str | Path] = ["oscap", "xccdf", "eval", "--skip-validation"]
        for rule in RULE_COST_S:
            argv += ["--skip-rule", RULE_PREFIX + rule]
        argv += ["--profile", expand_profile_id("stig"), "--results-arf", temp, stream]
        run(argv, timeout_s=_LIMIT_S, ok=(0, 2))
    return path


def remove_platforms(root: Element) -> int:
    """Take every platform out of a data stream's benchmark; how many there were.

    The list that conditions are defined in goes too: openscap-report fails on one whose
    conditions were not evaluated.
    """
    platforms = [*root.iter(XCCDF + "platform"), *root.iter(_PLATFORM_LANGUAGE)]
    for element in platforms:
        remove_element(element)
    return len(platforms)


def write_prepared_content(file: Path, output: Path) -> int:
    """Write the prepared content of a scan, read from the ARF; return the number of rules.

    Raises:
        InputError: the ARF does not hold its content.
    """
    report = results.parse_arf([file.read_bytes()], name=file.name)
    stream = etree.parse(file, create_parser()).getroot().find(f".//{DS}data-stream-collection")
    if stream is None:
        raise InputError(f"{file}: the ARF does not contain its content")
    benchmark = read_benchmark(stream, report.profile_id, file.name)
    sha256 = sha256_bytes(etree.tostring(stream))
    content = ScapContent(
        name=file.name,
        version=benchmark.version,
        source_sha256=sha256,
        derived_sha256=sha256,
        origin="the ARF",
        origin_kind=ContentOrigin.FILE,
        date=benchmark.date,
        derivation="",
    )
    part = StreamPart(data=b"", sha256=sha256, rule_ids=tuple(report.rules))
    output.write_bytes(
        pickle.dumps(
            PreparedContent(content=content, benchmark=benchmark, parts=(part,), untouched=part)
        )
    )
    return len(report.rules)
