"""What is asked of a ledger: add, look up, compare. Evidence was verified by the caller."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from hardpan import clock
from hardpan.errors import InputError, TrustError
from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners.history.chain import OWN, Row, begin, row_hash
from hardpan.scanners.history.diff import Side
from hardpan.scanners.history.record import Record, pack, unpack
from hardpan.scanners.history.store import Store
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fields import OPEN
from hardpan.signing import parse_json

_MAX_STATEMENT_BYTES = 8 << 20
_MOST_TEXT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Evidence whose every check held, as the ledger takes it."""

    statement: bytes
    """The signed payload."""

    bundle: bytes
    side: Side
    findings_sha256: str
    """Digest of ``findings.json`` as the statement lists it."""

    key_id: str
    signer_sha256: str
    within_limits: bool
    proofs: Mapping[str, bytes] = field(default_factory=dict)
    """What others signed; see ``record.Record``."""

    evidence_sha256: str = ""
    """Digest of the whole file, where it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A row and the chain it stands in."""

    chain: str
    row: Row


def add(store: Store, entry: Entry, now: datetime) -> tuple[Held, bool]:
    """The row of ``entry`` in the own chain, and whether it is new.

    Raises:
        InputError: the record is too large.
    """
    own = store.chains.get(OWN)
    identity = sha256_bytes(entry.statement)
    for row in own.rows if own else ():
        if row.statement_sha256 == identity:
            return Held(chain=OWN, row=row), False
    packed = pack(Record(side=entry.side, proofs=entry.proofs))
    chain = own or store.begin_chain(OWN, begin(clock.rfc3339(now), secrets.token_hex(32)))
    found = entry.side.findings
    values: dict[str, object] = {
        "chain": chain.link.id,
        "seq": len(chain.rows) + 1,
        "previous": chain.head,
        "added": clock.rfc3339(now),
        "statement_sha256": identity,
        "bundle_sha256": sha256_bytes(entry.bundle),
        "findings_sha256": entry.findings_sha256,
        "record_sha256": sha256_bytes(packed),
        "evidence_sha256": entry.evidence_sha256,
        "key_id": entry.key_id,
        "signer_sha256": entry.signer_sha256,
        "verdict": "verified" if entry.within_limits else "over the limits",
        **told(found),
    }
    row = Row.model_validate({**values, "hash": row_hash(values)})
    store.append(chain, row, (entry.statement, entry.bundle, packed))
    return Held(chain=OWN, row=row), True


def brief(text: str) -> str:
    """``text`` as a column keeps it: the record and the statement hold all of it."""
    return text[:_MOST_TEXT]


def told(found: Findings) -> dict[str, str]:
    """The columns that repeat what the findings say."""
    host, content = found.host, found.content
    return {
        "hostname": brief(host.hostname),
        "host_key_sha256": brief(host.host_key_sha256),
        "machine_id_hmac": brief(host.machine_id_hmac),
        "profile": brief(found.profile),
        "image_sha256": found.image.sha256 if found.image else "",
        "content": brief(f"{content.name} {content.version}"),
        "content_sha256": content.derived_sha256,
        "started": found.started,
        "finished": found.finished,
        "score": found.score,
        "counts": canonical_json(found.counts).decode(),
        "open_findings": canonical_json(found.open_by_severity()).decode(),
    }


def check_told(row: Row, side: Side, *, what: str) -> None:
    """Pass if the row's columns say what its record says.

    Raises:
        TrustError: one does not.
    """
    values = row.model_dump()
    for name, expected in told(side.findings).items():
        if values[name] != expected:
            raise TrustError(f"{what}: {name}: the row and its findings disagree")


def held(store: Store) -> tuple[Held, ...]:
    """Every piece of evidence once, by its scan's end; the own chain's row where there are two."""
    chains = sorted(store.chains.values(), key=lambda c: (c.name != OWN, c.name))
    first: dict[str, Held] = {}
    for chain in chains:
        for row in chain.rows:
            first.setdefault(row.statement_sha256, Held(chain=chain.name, row=row))
    return tuple(sorted(first.values(), key=lambda h: (h.row.finished, h.row.added, h.row.seq)))


def of_host(rows: tuple[Held, ...], query: str, *, by_name: bool = False) -> tuple[Held, ...]:
    """The rows of one host: by host key, machine id (8 digits or more), or how its name begins.

    ``by_name`` takes all hosts of exactly this name for one: hosts that are
    installed anew, with new keys.

    Raises:
        InputError: no host is meant by it, or more than one.
    """
    if by_name:
        found = tuple(h for h in rows if h.row.hostname == query)
        if not found:
            raise InputError(f"no host has the name {query!r}", hint=_known(rows))
        return found
    found = _meant(rows, query)
    if not found:
        raise InputError(f"no host is known as {query!r}", hint=_known(rows))
    keys = {h.row.host_key_sha256: h.row.hostname for h in found}
    machines = {h.row.machine_id_hmac for h in found}
    if len(keys) > 1 and (len(machines) > 1 or "" in machines):
        meant = "\n".join(f"  {name}  {key}" for key, name in sorted(keys.items())[:10])
        raise InputError(
            f"{query!r} may mean {len(keys)} hosts:\n{meant}",
            hint="give the host key, or --by-name if it is one host that was installed anew",
        )
    return found


def _meant(rows: tuple[Held, ...], query: str) -> tuple[Held, ...]:
    """The rows of the first way to read ``query`` that finds any."""
    ways = (
        tuple(h for h in rows if h.row.host_key_sha256 == query),
        tuple(h for h in rows if len(query) >= 8 and h.row.machine_id_hmac.startswith(query)),
        tuple(h for h in rows if h.row.hostname == query),
        tuple(h for h in rows if query and h.row.hostname.startswith(query)),
    )
    return next((way for way in ways if way), ())


def one(rows: tuple[Held, ...], reference: str) -> Held:
    """The row that ``reference`` means: its number in the own chain, or how its digest begins.

    Raises:
        InputError: none, or more than one.
    """
    if reference.isascii() and reference.isdigit() and len(reference) < 8:
        found = [h for h in rows if h.chain == OWN and h.row.seq == int(reference)]
    elif len(reference) >= 8:
        digest = reference.removeprefix("sha256:")
        found = [h for h in rows if h.row.statement_sha256.startswith(digest)]
    else:
        found = []
    if len(found) != 1:
        raise InputError(
            f"{reference!r} means {len(found)} of this host's scans, expected one",
            hint="a number or digest as 'ledger history' prints it",
        )
    return found[0]


def record(store: Store, row: Row) -> Record:
    """The compact record of a row.

    Raises:
        TrustError: it was changed.
    """
    what = f"{store.path}: record of sha256:{row.statement_sha256[:12]}"
    made = unpack(store.blob(row.record_sha256, what=what), what=what)
    check_told(row, made.side, what=what)
    return made


def side(store: Store, row: Row) -> Side:
    """The compact findings of a row.

    Raises:
        TrustError: they were changed.
    """
    return record(store, row).side


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """A waiver that ends soon, or did, and what it covers in a host's latest scan."""

    held: Held
    name: str
    """Rule id, or ``paired:`` and the conflict's id."""

    reason: str
    owner: str
    expires: str
    days_left: int
    """Days after today on which it still holds; below zero when it is over."""


def expiring(
    store: Store, rows: tuple[Held, ...], today: date, days: int, *, by_name: bool = False
) -> list[Expiring]:
    """The waivers over the latest scan of each host that end within ``days``, soonest first.

    A host is its host key; with ``by_name`` its name.
    """
    latest = {h.row.hostname if by_name else h.row.host_key_sha256: h for h in rows}
    last = today + timedelta(days=days)
    made = []
    for one_held in latest.values():
        found = side(store, one_held.row).findings
        covered = [(r.rule_id, r.waiver) for r in found.rules if r.verdict in OPEN]
        if found.paired is not None:
            covered += [
                (f"paired:{p.conflict}", p.waiver)
                for p in found.paired.pairs
                if p.verdict == "fail"
            ]
        for name, waiver in covered:
            if waiver is None:
                continue
            day = _day(waiver.expires, name)
            if day <= last:
                made.append(
                    Expiring(
                        held=one_held,
                        name=name,
                        reason=waiver.reason,
                        owner=waiver.owner,
                        expires=waiver.expires,
                        days_left=(day - today).days,
                    )
                )
    return sorted(made, key=lambda e: (e.expires, e.held.row.hostname, e.name))


def read_counts(text: str, *, what: str) -> dict[str, int]:
    """A row's ``counts`` or ``open_findings``.

    Raises:
        TrustError: it is something else.
    """
    value = parse_json(text.encode(), what=what, max_bytes=4096)
    if not isinstance(value, dict) or not all(type(n) is int for n in value.values()):
        raise TrustError(f"{what}: expected numbers by name")
    return value


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        raise TrustError(f"{name}: waiver: not a day: {text}") from e


def _known(rows: tuple[Held, ...]) -> str:
    names = sorted({h.row.hostname for h in rows})
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"known: {', '.join(names[:10])}{more}" if names else "the ledger is empty"
