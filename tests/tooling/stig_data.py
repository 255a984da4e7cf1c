"""Derives ``scanners/stig/*.json`` from DISA's manual XCCDF and its list of CCIs.

Both lie in the source of the SCAP content, which Debian ships as the source package
of ``ssg-nondebian`` (``apt-get source --download-only scap-security-guide``) and whose
authors keep in git; its binary packages lack them. They are works of the United
States government and in the public domain. Give the tarball, or a folder:

    .venv/bin/python tests/tooling/stig_data.py SOURCE --origin "Debian NAME VERSION"

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

from hardpan.errors import HardpanError, InputError
from hardpan.files import sha256_bytes, write_atomic

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
_REV5 = "NIST SP 800-53 Revision 5"
_PSEUDO = re.compile(r"<(\w+)>(.*?)</\1>", re.DOTALL)
_KEPT = {"VulnDiscussion", "Documentable"}
_MOST_BYTES = 32 << 20
Row = dict[str, object]


def parsed(data: bytes) -> etree._Element:
    """The root; no entities, no network."""
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))


def text(parent: etree._Element, path: str) -> str:
    """Text at ``path``.

    Raises:
        InputError: nothing lies there.
    """
    found = parent.findtext("/".join(_XCCDF + p for p in path.split("/")))
    if found is None:
        raise InputError(f"{parent.get('id') or parent.tag}: no <{path}>")
    return found.strip()


def requirement(group: etree._Element) -> Row:
    """One group of a manual XCCDF.

    Raises:
        InputError: it is not of the form that the checklists rely on.
    """
    where = group.get("id", "")
    rules = group.findall(_XCCDF + "Rule")
    if len(rules) != 1:
        raise InputError(f"{where}: expected one rule, found {len(rules)}")
    rule = rules[0]
    told = dict(_PSEUDO.findall(text(rule, "description")))
    odd = sorted(k for k, v in told.items() if v and k not in _KEPT)
    if odd or told.get("Documentable") != "false":
        raise InputError(f"{where}: says more than before: {', '.join(odd) or 'Documentable'}")
    check, fix = rule.find(_XCCDF + "check"), rule.find(_XCCDF + "fix")
    reference = rule.find(f"{_XCCDF}check/{_XCCDF}check-content-ref")
    if check is None or fix is None or reference is None or rule.get("severity") == "unknown":
        raise InputError(f"{where}: no check, no fix or no severity")
    return {
        "stig_id": text(rule, "version"),
        "group_id": where,
        "rule_id": rule.get("id", ""),
        "group_title": text(group, "title"),
        "severity": rule.get("severity", ""),
        "weight": rule.get("weight", ""),
        "title": text(rule, "title"),
        "ccis": sorted(str(i.text) for i in rule.findall(_XCCDF + "ident")),
        "discussion": told["VulnDiscussion"].strip(),
        "check_id": check.get("system", ""),
        "check_href": reference.get("href", ""),
        "check_name": reference.get("name", ""),
        "check": text(rule, "check/check-content"),
        "fix_id": fix.get("id", ""),
        "fix": text(rule, "fixtext"),
    }


def manual(data: bytes) -> tuple[Row, list[Row]]:
    """The STIG's own facts, and its requirements in document order."""
    root = parsed(data)
    plain = {p.get("id"): (p.text or "").strip() for p in root.findall(_XCCDF + "plain-text")}
    told = plain.get("release-info", "")
    release = re.match(r"Release: (\d+) Benchmark Date: ", told)
    if release is None:
        raise InputError(f"{root.get('id')}: no release in {told!r}")
    keys = {str(e.text) for e in root.iter(_DC + "identifier")}
    if len(keys) != 1:
        raise InputError(f"{root.get('id')}: expected one target key, found {len(keys)}")
    facts: Row = {
        "benchmark": root.get("id", ""),
        "title": text(root, "title"),
        "version": text(root, "version"),
        "release_info": told,
        "release": release[1],
        "target_key": keys.pop(),
        "source_sha256": sha256_bytes(data),
    }
    return facts, [requirement(g) for g in root.findall(_XCCDF + "Group")]


def controls(data: bytes, wanted: set[str]) -> dict[str, str]:
    """CCI -> its place in revision 5, for those wanted that have one."""
    found = {}
    for item in parsed(data).iter(_CCI + "cci_item"):
        name = item.get("id", "")
        for reference in item.iter(_CCI + "reference"):
            if name in wanted and reference.get("title") == _REV5:
                found.setdefault(name, reference.get("index", ""))
    return found


def document(name: str, files: dict[str, bytes], origin: str, as_of: date) -> bytes:
    """One file of the table: a requirement a line, so that a new release reads as a diff."""
    source = next(n for n in files if Path(n).match(MANUALS[name]))
    facts, rows = manual(files[source])
    wanted = {str(c) for r in rows for c in r["ccis"]}  # type: ignore[attr-defined]
    head = {
        "as_of": as_of.isoformat(),
        "licence": LICENCE,
        "origin": origin,
        "files": {n: sha256_bytes(files[n]) for n in sorted((source, CCI_LIST))},
        "stig": facts,
        "controls": controls(files[CCI_LIST], wanted),
    }
    lines = [f'"{k}":{_json(v)}' for k, v in head.items()]
    body = ",\n".join(map(_json, rows))
    return ("{" + ",\n".join(lines) + f',\n"requirements":[\n{body}\n]}}\n').encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def wanted(name: str) -> bool:
    """True for the file names that are read."""
    return name == CCI_LIST or any(Path(name).match(p) for p in MANUALS.values())


def sources(where: Path) -> dict[str, bytes]:
    """File name -> bytes, out of a source tarball or an unpacked folder.

    Raises:
        InputError: one is missing, twice there or far too long.
    """
    found: dict[str, bytes] = {}
    if where.is_dir():
        for path in sorted((where / FOLDER).glob("disa-*.xml")):
            if wanted(path.name):
                found[path.name] = path.read_bytes()
    else:
        with tarfile.open(where) as tar:
            for member in tar:
                path = Path(member.name)
                if not member.isfile() or not wanted(path.name) or not path.match(f"{FOLDER}/*"):
                    continue
                if member.size > _MOST_BYTES:
                    raise InputError(f"{where}: {member.name} is longer than {_MOST_BYTES} bytes")
                handle = tar.extractfile(member)
                found[path.name] = b"" if handle is None else handle.read()
    for pattern in (*MANUALS.values(), CCI_LIST):
        n = sum(Path(name).match(pattern) for name in found)
        if n != 1:
            raise InputError(f"{where}: expected one {FOLDER}/{pattern}, found {n}")
    return found


def main(argv: list[str] | None = None) -> int:
    """Write the files; returns the exit code."""
    parser = argparse.ArgumentParser(description="Derive scanners/stig/*.json.")
    parser.add_argument("source", type=Path, help="source tarball, or the folder it unpacks to")
    parser.add_argument("--origin", required=True, help="what the source is: package and version")
    parser.add_argument("--as-of", type=date.fromisoformat, default=datetime.now(UTC).date())
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(argv)
    try:
        files = sources(asked.source)
        for name in MANUALS:
            write_atomic(asked.out / name, document(name, files, asked.origin, asked.as_of))
    except HardpanError as e:
        sys.stderr.write(f"error: {e}\n")
        return int(e.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
