"""From upstream's data stream to what is uploaded: derived, slimmed, dealt out."""

from collections.abc import Collection
from dataclasses import dataclass

from hardpan.files import Sha256, sha256_bytes
from hardpan.scanners.content import remedies as fixes
from hardpan.scanners.content.benchmark import Benchmark, full_profile_id, read
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.content.derive import derive
from hardpan.scanners.content.shortcuts import shorten
from hardpan.scanners.content.slim import slim, together
from hardpan.scanners.content.split import deal
from hardpan.scanners.content.twins import merge_twins
from hardpan.scanners.content.xml import load, save
from hardpan.scanners.model import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One data stream for one oscap process."""

    data: bytes
    sha256: Sha256
    rule_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Content that is ready to be scanned with."""

    content: Content
    benchmark: Benchmark
    parts: tuple[Part, ...]
    """Together they hold every selected rule exactly once."""


def prepare(source: Source, profile: str, *, parts: int = 2) -> Prepared:
    """Make the content apply to the systems we know, cut it to the profile, deal it out.

    The same source gives the same bytes; it takes about a second, so nothing is cached.

    Raises:
        InputError: the data stream is not one, or has no such profile.
    """
    name = source.name
    profile_id = full_profile_id(profile)
    root = load(source.data, name)
    added = derive(root, name)
    derived = save(root) if added else source.data
    bench = read(root, profile_id, name)
    bundles = together(root, profile_id, name)
    slim(root, profile_id, name)
    merged = merge_twins(root)
    shortened = shorten(root)
    whole = save(root)
    order = [r.rule_id for r in bench.rules]
    made = tuple(_part(whole, profile_id, name, ids) for ids in deal(bundles, parts, order=order))
    return Prepared(
        content=Content(
            name=name,
            version=bench.version,
            date=bench.date,
            source_sha256=source.sha256,
            derived_sha256=sha256_bytes(derived),
            origin=source.origin,
            origin_kind=source.origin_kind,
            derivation=_told(added, merged, shortened, made),
        ),
        benchmark=bench,
        parts=made,
    )


def remedies(source: Source, profile: str, rule_ids: Collection[str]) -> tuple[fixes.Fix, ...]:
    """The content's own bash fixes for these rules, in the benchmark's order.

    Raises:
        InputError: the profile does not select one of the rules.
    """
    name = source.name
    root = load(source.data, name)
    return fixes.remedies(root, full_profile_id(profile), rule_ids, name)


def _part(whole: bytes, profile_id: str, name: str, ids: tuple[str, ...]) -> Part:
    root = load(whole, name)
    slim(root, profile_id, name, only=ids)
    data = save(root)
    return Part(data=data, sha256=sha256_bytes(data), rule_ids=ids)


def _told(added: tuple[str, ...], merged: int, shortened: int, parts: tuple[Part, ...]) -> str:
    lines = [f"added {line}" for line in added]
    if merged:
        lines.append(f"merged {merged} OVAL objects, states and variables into identical ones")
    if shortened:
        lines.append(f"left what belongs to 0 out of {shortened} OVAL objects first, and tested 0")
    lines += [
        f"evaluated part {n} of {len(parts)}: {len(p.rule_ids)} rules, sha256 {p.sha256}"
        for n, p in enumerate(parts, 1)
    ]
    return "\n".join(lines)
