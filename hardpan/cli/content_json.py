"""The answers of ``hardpan content`` as JSON."""

from hardpan.core.errors import HardpanError
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.listing import AvailableContent, ContentDescription
from hardpan.scanners.content.update import ContentUpdate, ProductUpdate
from hardpan.scanners.stig.manual_stig import find_stig


def stream_to_json(stream: AvailableContent) -> dict[str, object]:
    """A data stream and what it contains, or why it cannot be read."""
    row: dict[str, object] = {
        "product": stream.product,
        "origin": stream.origin,
        "default": stream.is_default,
    }
    if isinstance(stream.description, HardpanError):
        return {**row, "problem": str(stream.description)}
    return {**row, **description_to_json(stream.description)}


def description_to_json(description: ContentDescription) -> dict[str, object]:
    """The benchmarks and profiles of a data stream."""
    return {
        "name": description.name,
        "version": description.version,
        "date": description.date,
        "sha256": description.sha256,
        "origin_text": description.origin,
        "benchmarks": [
            {
                "id": bench.benchmark_id,
                "title": bench.title,
                "version": bench.version,
                "platforms": list(bench.platforms),
                "rules": bench.rule_count,
                "profiles": [
                    {"id": p.profile_id, "title": p.title, "rules": p.rule_count}
                    for p in bench.profiles
                ],
                "stig": stig.release_to_json() if (stig := find_stig(bench.benchmark_id)) else None,
            }
            for bench in description.benchmarks
        ],
    }


def _source_to_json(source: ContentSource) -> dict[str, object]:
    return {"version": source.version, "date": source.date, "sha256": source.sha256}


def update_to_json(result: ContentUpdate, *, dry_run: bool) -> dict[str, object]:
    """The packages of an update, and the changes of each product."""
    return {
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "suite": package.suite,
                "downloaded": bool(package.products),
            }
            for package in result.packages
        ],
        "dry_run": dry_run,
        "stored": None if result.stored is None else str(result.stored),
        "products": [_product_to_json(p) for package in result.packages for p in package.products],
    }


def _product_to_json(product_update: ProductUpdate) -> dict[str, object]:
    current = product_update.current
    fields: dict[str, object] = {
        "product": product_update.product,
        "is_newer": product_update.is_newer,
        "baseline": None,
        "current": {
            "version": current.version,
            "date": current.date.isoformat(),
            "sha256": current.sha256,
        },
    }
    if product_update.baseline is None or product_update.changes is None:
        return fields
    changes = product_update.changes
    return {
        **fields,
        "baseline": {
            "origin": product_update.baseline.origin_kind,
            **_source_to_json(product_update.baseline),
        },
        "profile": changes.profile_id,
        "rules": {"baseline": changes.baseline_rules, "current": changes.current_rules},
        "selected": {"baseline": changes.baseline_selected, "current": changes.current_selected},
        **{
            kind: [
                {
                    "rule": r.rule_id,
                    "title": r.title,
                    "in_profile": r.in_profile,
                    "aspects": list(r.aspects),
                }
                for r in rules
            ]
            for kind, rules in (
                ("added", changes.added),
                ("removed", changes.removed),
                ("changed", changes.changed),
            )
        },
    }
