"""The main job: from a profile to a verified evidence file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hardpan import clock, events
from hardpan.builder import pipeline as building
from hardpan.builder import provenance, sbom
from hardpan.builder.machine.boot import booted
from hardpan.builder.machine.probe import acceleration
from hardpan.builder.media import sources
from hardpan.builder.pipeline import Hardened, Plan
from hardpan.builder.receipts import Assessment, Guest, Iso, Remedy
from hardpan.events import Emit, Note
from hardpan.files import Sha256, sha256_bytes, write_atomic
from hardpan.profiles.load import digest
from hardpan.profiles.model import Profile
from hardpan.prove import keyring, steps
from hardpan.prove.asked import Asked
from hardpan.prove.keyring import KeyRing
from hardpan.resume import Receipt
from hardpan.scanners import pipeline as scanning
from hardpan.scanners.commands.terms import following, runner, stamp
from hardpan.scanners.content import datastream
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.evidence import bundle
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.evidence.verify import Verified
from hardpan.scanners.evidence.verify import verify as check
from hardpan.scanners.model import ImageRef
from hardpan.scanners.target import of_guest
from hardpan.scanners.transport import Transport, connect
from hardpan.signing import Signed, read_bundle, sign

_CONNECT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image and what vouches for it."""

    plan: Plan
    iso: Iso
    hardened: Hardened
    source: Source
    ring: KeyRing
    provenance: bytes
    """The signed bundle."""

    sbom: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Evidence that was signed and verified."""

    image: Image
    evidence: Path
    verified: Verified


def plan(asked: Asked, emit: Emit) -> Plan:
    """What the build is made from: media, access, acceleration."""
    asked.out.mkdir(parents=True, exist_ok=True)
    asked.cache.mkdir(parents=True, exist_ok=True)
    power = acceleration()
    emit(Note(stage="machine", text=power.reason))
    access = keyring.operator(asked.profile.build_user, asked.ssh_key, asked.data)
    with events.stage(emit, "media"):
        media = sources.find(
            asked.profile.media.catalog,
            file=asked.media,
            sha256=asked.media_sha256,
            cache=asked.cache,
            emit=emit,
        )
    return Plan(
        profile=asked.profile,
        media=media,
        access=access,
        acceleration=power,
        out=asked.out,
        cache=asked.cache,
        emit=emit,
        passphrase=asked.passphrase(),
    )


def build(asked: Asked, emit: Emit) -> Image:
    """A hardened, sealed image with SBOM and signed provenance."""
    planned = plan(asked, emit)
    ring = keyring.signing(asked.keys, asked.data, asked.out, asked.signers)
    source = datastream.find(asked.profile.stig.content, asked.content)
    emit(Note(stage="content", text=str(source)))
    iso = building.unattended_iso(planned)
    base = building.base_install(planned, iso)
    hardened = building.harden(
        planned,
        base,
        content_sha256=source.sha256,
        assess=lambda guest: _assess(guest, asked.profile, source, emit),
        open_shell=_shell,
    )
    signed, bill = _vouch(planned, iso, hardened, source, ring, emit)
    return Image(
        plan=planned,
        iso=iso,
        hardened=hardened,
        source=source,
        ring=ring,
        provenance=signed,
        sbom=bill,
    )


def prove(asked: Asked, emit: Emit) -> Proof:
    """Build, boot, scan, sign and verify."""
    image = build(asked, emit)
    step = steps.scan(
        asked,
        image.ring,
        image_sha256=image.hardened.disk.sha256,
        content=image.source.sha256,
    )
    evidence, _key = step.outputs
    step.once(emit, lambda _note: _scan(asked, image, evidence, emit))
    with events.stage(emit, "verify"):
        verified = check(evidence, load_policy(image.ring.policy), now=clock.now())
    return Proof(image=image, evidence=evidence, verified=verified)


def _scan(asked: Asked, image: Image, evidence: Path, emit: Emit) -> Receipt:
    planned, disk = image.plan, image.hardened.disk
    with booted(
        planned.spec(disk.path),
        planned.access,
        planned.acceleration,
        log=asked.out / "scan.log",
        emit=emit,
        overlay=True,
    ) as guest:
        request = scanning.Request(
            target=of_guest(guest),
            profile=asked.profile,
            source=image.source,
            smoke=asked.smoke,
            before=image.hardened.before,
            image=_reference(image),
            invocation=asked.invocation,
            nonce=asked.nonce,
        )
        scan = scanning.scan(request, emit)
    ring = image.ring
    terms = bundle.Terms(
        stamp=stamp(asked.timestamp),
        chain=following(None, scan.host.host_key_sha256),
        runner=runner(),
    )
    bundle.write(scan, ring.scan, evidence, emit, nonce=asked.nonce, pq=ring.pq, terms=terms)
    return {"evidence": evidence.name, "boot_s": f"{guest.boot_s:.1f}"}


def _assess(guest: Guest, profile: Profile, source: Source, emit: Emit) -> Assessment:
    made, fixes = scanning.assess(of_guest(guest), profile, source, emit)
    return Assessment(
        content_sha256=source.sha256,
        counts=made.counts(),
        remedies=tuple(
            Remedy(rule_id=f.rule_id, severity=f.severity, script=f.script) for f in fixes
        ),
    )


@contextmanager
def _shell(guest: Guest) -> Iterator[Transport]:
    with connect(of_guest(guest), timeout_s=_CONNECT_S) as via:
        yield via


def _vouch(
    planned: Plan, iso: Iso, hardened: Hardened, source: Source, ring: KeyRing, emit: Emit
) -> tuple[bytes, bytes]:
    """The signed provenance and the SBOM; both are written beside the image."""
    step = steps.provenance(
        planned.profile.name,
        planned.out,
        ring,
        image_sha256=hardened.disk.sha256,
        iso_sha256=iso.sha256,
        content=source.sha256,
    )
    bill_at, signed_at = step.outputs

    def work(_note: object) -> Receipt:
        bill = sbom.cyclonedx(
            hardened.disk.path.name,
            hardened.disk.sha256,
            hardened.packages,
            distro=planned.profile.release,
            stacks=[stack for layer in hardened.layers for stack in layer.stacks],
        )
        write_atomic(bill_at, bill)
        write_atomic(signed_at, _signed(planned, iso, hardened, source.sha256, ring).bundle)
        return {}

    step.once(emit, work)
    return signed_at.read_bytes(), bill_at.read_bytes()


def _signed(planned: Plan, iso: Iso, hardened: Hardened, content: Sha256, ring: KeyRing) -> Signed:
    story = provenance.Story(
        profile=planned.profile.name,
        profile_sha256=digest(planned.profile),
        disk=hardened.disk,
        iso=iso,
        media=planned.media,
        content_sha256=content,
        layers=hardened.layers,
        accelerator=planned.acceleration.kind,
        version=version("hardpan"),
        started=hardened.started,
        finished=hardened.finished,
    )
    return sign(provenance.statement(story), ring.build)


def _reference(image: Image) -> ImageRef:
    envelope = read_bundle(image.provenance, what="provenance")
    return ImageRef(
        name=image.hardened.disk.path.name,
        sha256=image.hardened.disk.sha256,
        provenance=image.provenance,
        provenance_statement_sha256=sha256_bytes(envelope.unverified),
        sbom=image.sbom,
    )


def outcomes(hardened: Hardened) -> dict[str, int]:
    """What the ``stig`` layer did -> number of rules."""
    kinds = [o.outcome for layer in hardened.layers for o in layer.outcomes]
    return {k: kinds.count(k) for k in sorted(set(kinds))}


def write_summary(path: Path, value: object) -> None:
    """Write what a program may want to read about the run."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True) + "\n")
