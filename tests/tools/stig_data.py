"""Derives ``scanners/stig/*.json`` from DISA's manual XCCDF and its list of CCIs.

Both are in the source of the SCAP content, which Debian ships as the source package
of ``ssg-nondebian`` (``apt-get source --download-only scap-security-guide``) and whose
authors keep in git; its binary packages lack them. They are works of the United
States government and in the public domain. Give the tarball, or a folder:

    .venv/bin/python tests/tools/stig_data.py SOURCE --origin "Debian NAME VERSION"

The same source, origin and day give the same bytes.
"""

import argparse
import json
import re
import sys
import tarfile
from datetime import UTC, date, datetime
from pathlib import Path

from lxml import etree

from hardpan.core.errors import HardpanError, InputError
from hardpan.core.files import sha256_bytes, write_atomic

MANUALS = {
    "rhel9.json": "disa-stig-rhel9-v*-xccdf-manual.xml",
    "rhel10.json": "disa-stig-rhel10-v*-xccdf-manual.xml",
}
CCI_LIST = "disa-cci-list.xml"
FOLDER = "shared/references"
OUT = Path(__file__).parents[2] / "scanners" / "stig"
LICENCE = (
    "Texts and ids: works of the United States government (DISA), in the public domain. "
    "Not endorsed by DISA."
)
_XCCDF = "{http://checklists.nist.gov/xccdf/1.1}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CCI = "{http://iase.disa.mil/cci}"
REVISIONS = {
    "controls": "NIST SP 800-53 Revision 5",
    "controls_rev4": "NIST SP 800-53 Revision 4",
}
"""Key of the document -> title of the references in the list of CCIs."""

_PSEUDO = re.compile(r"<(\w+)>(.*?)</\1>", re.DOTALL)
_USED_FIELDS = {"VulnDiscussion", "Documentable"}
_MAX_BYTES = 32 << 20
Row = dict[str, object]


def parse_xml(data: bytes) -> etree._Element:
    """The root; no entities, no network."""
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))


def read_text(parent: etree._Element, path: str) -> str:
    """Text at ``path``.

    Raises:
        InputError: the element is missing.
    """
    value = parent.findtext("/".join(_XCCDF + p for p in path.split("/")))
    if value is None:
        raise InputError(f"{parent.get('id') or parent.tag}: no <{path}>")
    return value.strip()


def parse_requirement(group: etree._Element) -> Row:
    """One group of a manual XCCDF.

    Raises:
        InputError: it is not of the form that the checklists rely on.
    """
    group_id = group.get("id", "")
    rules = group.findall(_XCCDF + "Rule")
    if len(rules) != 1:
        raise InputError(f"{group_id}: expected one rule, got {len(rules)}")
    rule = rules[0]
    fields = dict(_PSEUDO.findall(read_text(rule, "description")))
    unexpected = sorted(k for k, v in fields.items() if v and k not in _USED_FIELDS)
    if unexpected or fields.get("Documentable") != "false":
        raise InputError(
            f"{group_id}: unexpected fields: {', '.join(unexpected) or 'Documentable'}"
        )
    check, fix = rule.find(_XCCDF + "check"), rule.find(_XCCDF + "fix")
    reference = rule.find(f"{_XCCDF}check/{_XCCDF}check-content-ref")
    if check is None or fix is None or reference is None or rule.get("severity") == "unknown":
        raise InputError(f"{group_id}: no check, no fix or no severity")
    return {
        "stig_id": read_text(rule, "version"),
        "group_id": group_id,
        "rule_id": rule.get("id", ""),
        "group_title": read_text(group, "title"),
        "severity": rule.get("severity", ""),
        "weight": rule.get("weight", ""),
        "title": read_text(rule, "title"),
        "ccis": sorted(str(i.text) for i in rule.findall(_XCCDF + "ident")),
        "discussion": fields["VulnDiscussion"].strip(),
        "check_id": check.get("system", ""),
        "check_href": reference.get("href", ""),
        "check_name": reference.get("name", ""),
        "check": read_text(rule, "check/check-content"),
        "fix_id": fix.get("id", ""),
        "fix": read_text(rule, "fixtext"),
    }


def parse_manual(data: bytes) -> tuple[Row, list[Row]]:
    """The STIG's own facts, and its requirements in document order."""
    root = parse_xml(data)
    plain = {p.get("id"): (p.text or "").strip() for p in root.findall(_XCCDF + "plain-text")}
    release_info = plain.get("release-info", "")
    release = re.match(r"Release: (\d+) Benchmark Date: ", release_info)
    if release is None:
        raise InputError(f"{root.get('id')}: no release in {release_info!r}")
    keys = {str(e.text) for e in root.iter(_DC + "identifier")}
    if len(keys) != 1:
        raise InputError(f"{root.get('id')}: expected one target key, got {len(keys)}")
    published = datetime.strptime(release_info[release.end() :], "%d %b %Y").date()  # noqa: DTZ007
    facts: Row = {
        "benchmark": root.get("id", ""),
        "benchmark_date": published.isoformat(),
        "title": read_text(root, "title"),
        "version": read_text(root, "version"),
        "release_info": release_info,
        "release": release[1],
        "target_key": keys.pop(),
        "source_sha256": sha256_bytes(data),
    }
    return facts, [parse_requirement(g) for g in root.findall(_XCCDF + "Group")]


def map_controls(root: etree._Element, ccis: set[str], revision: str) -> dict[str, str]:
    """CCI -> its place in a revision of NIST SP 800-53, for those of ``ccis`` that have one."""
    control_by_cci: dict[str, str] = {}
    for item in root.iter(_CCI + "cci_item"):
        name = item.get("id", "")
        for reference in item.iter(_CCI + "reference"):
            if name in ccis and reference.get("title") == revision:
                control_by_cci.setdefault(name, reference.get("index", ""))
    return control_by_cci


def read_list_date(root: etree._Element) -> str:
    """Return the day of the list of CCIs, which is its version.

    Raises:
        InputError: it names none.
    """
    value = root.findtext(f"{_CCI}metadata/{_CCI}version", "").strip()
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise InputError(f"{CCI_LIST}: expected the day of the list as its version, got {value!r}")
    return value


def render_document(name: str, files: dict[str, bytes], origin: str, as_of: date) -> bytes:
    """One file of the table: a requirement a line, so that a new release reads as a diff."""
    source = next(n for n in files if Path(n).match(MANUALS[name]))
    facts, rows = parse_manual(files[source])
    ccis = {str(c) for r in rows for c in r["ccis"]}  # type: ignore[attr-defined]
    cci_list = parse_xml(files[CCI_LIST])
    facts["cci_list_date"] = read_list_date(cci_list)
    head = {
        "as_of": as_of.isoformat(),
        "licence": LICENCE,
        "origin": origin,
        "files": {n: sha256_bytes(files[n]) for n in sorted((source, CCI_LIST))},
        "stig": facts,
        **{key: map_controls(cci_list, ccis, title) for key, title in REVISIONS.items()},
    }
    lines = [f'"{k}":{_json(v)}' for k, v in head.items()]
    body = ",\n".join(map(_json, rows))
    return ("{" + ",\n".join(lines) + f',\n"requirements":[\n{body}\n]}}\n').encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def is_source_file(name: str) -> bool:
    """True for the file names that are read."""
    return name == CCI_LIST or any(Path(name).match(p) for p in MANUALS.values())


def read_sources(location: Path) -> dict[str, bytes]:
    """File name -> bytes, out of a source tarball or an unpacked folder.

    Raises:
        InputError: one is missing, twice there or far too long.
    """
    files: dict[str, bytes] = {}
    if location.is_dir():
        for path in sorted((location / FOLDER).glob("disa-*.xml")):
            if is_source_file(path.name):
                files[path.name] = path.read_bytes()
    else:
        with tarfile.open(location) as tar:
            for member in tar:
                path = Path(member.name)
                if (
                    not member.isfile()
                    or not is_source_file(path.name)
                    or not path.match(f"{FOLDER}/*")
                ):
                    continue
                if member.size > _MAX_BYTES:
                    raise InputError(f"{location}: {member.name} is longer than {_MAX_BYTES} bytes")
                handle = tar.extractfile(member)
                files[path.name] = b"" if handle is None else handle.read()
    for pattern in (*MANUALS.values(), CCI_LIST):
        n = sum(Path(name).match(pattern) for name in files)
        if n != 1:
            raise InputError(f"{location}: expected one {FOLDER}/{pattern}, got {n}")
    return files


def main(argv: list[str] | None = None) -> int:
    """Write the files; returns the exit code."""
    parser = argparse.ArgumentParser(description="Derive scanners/stig/*.json.")
    parser.add_argument("source", type=Path, help="source tarball, or the folder it unpacks to")
    parser.add_argument("--origin", required=True, help="what the source is: package and version")
    parser.add_argument("--as-of", type=date.fromisoformat, default=datetime.now(UTC).date())
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    try:
        files = read_sources(options.source)
        for name in MANUALS:
            write_atomic(
                options.out / name, render_document(name, files, options.origin, options.as_of)
            )
    except HardpanError as e:
        sys.stderr.write(f"error: {e}\n")
        return int(e.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
