"""trust.yaml: whom and what an auditor trusts. Never taken from the evidence itself."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hardpan.errors import InputError
from hardpan.signing import ALGORITHMS, Authority, PublicKey, authority, parse_public
from scanners.report.fields import HexDigest, PairVerdictName, Severity, VerdictName

_MAX_BYTES = 1 << 20
Place = tuple[str | int, ...]


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("expected a time zone, e.g. 2026-11-21T04:00:00Z")
    return moment.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_utc)]


class Part(BaseModel):
    """A part of the policy: frozen, unknown settings refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Key(Part):
    """One trusted key and what it is trusted for."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    role: Literal["scan", "build", "scan-pq", "verify"]
    """``scan`` signs evidence, ``build`` signs image provenance, ``scan-pq`` the evidence's
    second envelope, ``verify`` the outcome of a verification; none may do another's work."""

    alg: Literal["ecdsa-p256-sha256", "rsa-pkcs1v15-sha256", "ml-dsa-65", "ml-dsa-87"]
    """The one algorithm the key is trusted for; the key must be of its kind."""

    spki: Annotated[str, Field(min_length=1, max_length=4096)]
    """The public key: PEM text, or a file's path relative to this policy."""

    not_before: Instant
    not_after: Instant
    compromised_at: Instant | None = None
    """From when on others may have had it. What a timestamp shows to be older still holds."""


class TimestampRule(Part):
    """Whose RFC 3161 timestamp the evidence must carry."""

    roots: Annotated[str, Field(min_length=1, max_length=65_536)]
    """The authority's root certificates: PEM text, or a file's path relative to this policy."""

    policy_oid: str = ""
    """The TSA policy it must be issued under; empty takes any."""

    max_lag_s: Annotated[int, Field(gt=0)] = 86_400
    """Longest time from the scan's end to the timestamp."""


class CmsRule(Part):
    """Whose certificates a CMS signature counts under; checked by ``openssl cms``."""

    roots: Annotated[str, Field(min_length=1, max_length=65_536)]
    """Root certificates: PEM text, or a file's path relative to this policy."""


class AfterRule(Part):
    """The last statement of the host that the auditor has: this one must come right after."""

    sequence: Annotated[int, Field(ge=0)]
    statement_sha256: HexDigest | None = None
    """None where ``sequence`` is 0: the first statement follows on none."""


class TargetRule(Part):
    """Which hosts the evidence may be about; an empty list allows all."""

    host_keys: tuple[Annotated[str, Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")], ...] = ()
    machine_ids: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}([0-9a-f]{32})?$")], ...] = ()
    """Values of ``machineIdHmac``."""

    product_uuids: tuple[HexDigest, ...] = ()
    """Values of ``productUuidSha256``: what tells a cloned machine from its original."""

    require_proof: bool = False
    """True wants the host's own signature (SSHSIG by its host key) over nonce and findings."""


class ContentRule(Part):
    """Which SCAP content counts; an empty list allows all."""

    source_sha256: tuple[HexDigest, ...] = ()
    derived_sha256: tuple[HexDigest, ...] = ()
    profile_ids: tuple[str, ...] = ()


class ImageRule(Part):
    """What must be known about the image the target was booted from."""

    require_provenance: bool = False
    sha256: tuple[HexDigest, ...] = ()
    """Allowed images; an empty list allows all."""


class Policy(Part):
    """The whole of trust.yaml."""

    version: Literal[1]
    keys: Annotated[tuple[Key, ...], Field(min_length=1)]
    clock_skew_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    max_age_hours: Annotated[int, Field(gt=0)] | None = None
    """Oldest scan that is taken, counted from its end."""

    require_pq: bool = False
    """Refuse evidence without a post-quantum signature by a ``scan-pq`` key."""

    nonce: Annotated[str, Field(min_length=16)] | None = None
    """What the scan must have been asked to repeat."""

    expires: Instant | None = None
    """From when on this policy decides nothing any more."""

    require_timestamp: TimestampRule | None = None
    require_cms: CmsRule | None = None
    after: AfterRule | None = None

    target: TargetRule = TargetRule()
    content: ContentRule = ContentRule()
    image: ImageRule = ImageRule()
    max_counts: dict[VerdictName, Annotated[int, Field(ge=0)]] = {}
    """Verdict -> most rules that may have it, waivers or not. More is an answer
    (exit 1), not broken trust."""

    max_open: dict[Severity, Annotated[int, Field(ge=0)]] = {}
    """Severity -> most rules that may be open: not passed (``error`` and ``unknown``
    included) and without a waiver on record. ``high`` is DISA's CAT I."""

    max_paired: dict[PairVerdictName, Annotated[int, Field(ge=0)]] = {}
    """Verdict of a paired check -> most that may have it. Where one is set, evidence
    without paired checks is over the limit."""

    min_score: Annotated[float, Field(ge=0, le=100)] | None = None


class Trust(Part):
    """A policy with its keys read."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    policy: Policy
    keys: tuple[tuple[Key, PublicKey], ...]
    authority: Authority | None = None
    """Whose timestamps are believed; None where the policy names nobody."""

    cms_roots: str = ""
    """Certificates in PEM; empty where the policy wants no CMS signature."""

    def role(self, role: str) -> tuple[tuple[Key, PublicKey], ...]:
        """The keys trusted for ``role``."""
        return tuple(k for k in self.keys if k[0].role == role)


def load_policy(path: Path) -> Trust:
    """The policy in ``path``, its keys included.

    Raises:
        InputError: it cannot be read; or every problem at once, each with its
            ``file:line:column`` and setting.
    """
    root = _compose(path)
    found = _duplicates(root, path)
    policy: Policy | None = None
    try:
        policy = Policy.model_validate(yaml.safe_load(yaml.serialize(root)))
    except ValidationError as e:
        found += [f"{_at(root, tuple(x['loc']), path)}: {_said(x)}" for x in e.errors()]
    except (yaml.YAMLError, ValueError) as e:
        found.append(f"{path}: {str(e).splitlines()[0]}")
    if policy is None:
        raise InputError("\n".join(found), hint="see 'hardpan keys new' for a policy that works")
    keys = []
    for i, key in enumerate(policy.keys):
        try:
            keys.append((key, _public(key, path.parent)))
        except InputError as e:
            found.append(f"{_at(root, ('keys', i, 'spki'), path)}: keys[{i}].spki: {e}")
    found += [f"{_at(root, where, path)}: {said}" for where, said in _odd(policy)]
    found += [f"{_at(root, where, path)}: {said}" for where, said in _algorithms(policy, keys)]
    roles = {p.sha256: k.role for k, p in keys}
    found += [
        f"{path}: key {k.id!r}: the same key may not have two roles"
        for k, p in keys
        if roles[p.sha256] != k.role
    ]
    tsa, cms = _anchors(policy, path, found, root)
    if found:
        raise InputError("\n".join(found))
    return Trust(policy=policy, keys=tuple(keys), authority=tsa, cms_roots=cms)


def _anchors(
    policy: Policy, path: Path, found: list[str], root: yaml.Node
) -> tuple[Authority | None, str]:
    """The certificates that the policy names, read; what is wrong goes to ``found``."""
    read: dict[str, Authority] = {}
    texts: dict[str, str] = {}
    for name in ("require_timestamp", "require_cms"):
        rule = getattr(policy, name)
        if rule is None:
            continue
        try:
            pem = _text_or_file(rule.roots, path.parent)
            oid = getattr(rule, "policy_oid", "")
            read[name] = authority(pem, policy_oid=oid, what=f"{name}.roots")
            texts[name] = pem.decode("ascii", "replace")
        except InputError as e:
            found.append(f"{_at(root, (name, 'roots'), path)}: {e}")
    return read.get("require_timestamp"), texts.get("require_cms", "")


def _odd(policy: Policy) -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []
    seen: set[str] = set()
    for i, key in enumerate(policy.keys):
        if key.id in seen:
            found.append((("keys", i, "id"), f"keys[{i}].id: {key.id!r} appears twice"))
        seen.add(key.id)
        if key.not_after <= key.not_before:
            found.append((("keys", i, "not_after"), f"keys[{i}].not_after: is before not_before"))
    return found


def _algorithms(policy: Policy, keys: list[tuple[Key, PublicKey]]) -> list[tuple[Place, str]]:
    found: list[tuple[Place, str]] = []
    kinds = {k.id: p.alg for k, p in keys}
    for i, key in enumerate(policy.keys):
        is_pq = ALGORITHMS[key.alg].post_quantum
        if is_pq != (key.role == "scan-pq"):
            said = "is for the role scan-pq alone" if is_pq else "cannot sign as scan-pq"
            found.append((("keys", i, "alg"), f"keys[{i}].alg: {key.alg} {said}"))
        if kinds.get(key.id, key.alg) != key.alg:
            said = f"says {key.alg}, but the key is for {kinds[key.id]}"
            found.append((("keys", i, "alg"), f"keys[{i}].alg: {said}"))
    if policy.require_pq and not any(k.role == "scan-pq" for k in policy.keys):
        found.append((("require_pq",), "require_pq: no key has the role scan-pq"))
    return found


def _public(key: Key, folder: Path) -> PublicKey:
    inline = key.spki.lstrip().startswith("-----BEGIN")
    what = f"key {key.id!r}" if inline else str(folder / key.spki)
    return parse_public(_text_or_file(key.spki, folder), what=what)


def _text_or_file(value: str, folder: Path) -> bytes:
    if value.lstrip().startswith("-----BEGIN"):
        return value.encode()
    file = folder / value
    try:
        with file.open("rb") as f:
            return f.read(_MAX_BYTES)
    except (OSError, ValueError) as e:
        raise InputError(f"{file}: cannot be read: {getattr(e, 'strerror', e)}") from e


def _compose(path: Path) -> yaml.Node:
    try:
        with path.open("rb") as f:
            text = f.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise InputError(f"{path}: expected at most {_MAX_BYTES} bytes")
        root = yaml.compose(text.decode("utf-8"), Loader=yaml.SafeLoader)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as e:
        raise InputError(f"{path}: not YAML: {' '.join(str(e).split())[:200]}") from e
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected settings, e.g. 'version: 1'")
    return root


def _duplicates(node: yaml.Node, path: Path) -> list[str]:
    found: list[str] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                found.append(f"{_mark(key, path)}: {key.value}: appears twice")
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            found += _duplicates(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found += _duplicates(value, path)
    return found


def _at(node: yaml.Node, place: Place, path: Path) -> str:
    for part in place:
        inner: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            inner = next((v for k, v in node.value if k.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            inner = node.value[part] if part < len(node.value) else None
        if inner is None:
            break
        node = inner
    return _mark(node, path)


def _mark(node: yaml.Node, path: Path) -> str:
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _said(error: Any) -> str:
    where = ""
    for part in error["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown setting"
    if error["type"] == "missing":
        return f"{where}: is missing"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}, found {error['input']!r:.80}"
