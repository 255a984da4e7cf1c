"""Which stages a run would carry out, and which it would take from an earlier one.

An earlier result is known by its record, and its files have to be there: their digests,
which a run compares, are left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hardpan.builder import install, pipeline
from hardpan.builder import steps as building
from hardpan.builder.media.remaster import need_mib
from hardpan.errors import InputError
from hardpan.files import Sha256
from hardpan.kickstart import boot_arguments
from hardpan.prove import steps
from hardpan.prove.before import Seen
from hardpan.resume import Receipt, Step
from hardpan.scanners.model import ContentOrigin

State = Literal["given", "present", "cache", "earlier", "anew", "open", "missing"]
"""``given``: a file that was named. ``present``: on this machine before any run. ``cache`` and
``earlier``: taken from there or from an earlier run into the same folder. ``anew``: made by
the run. ``open``: it shows on the way."""

_RECORD = "{}.stage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage as it would go."""

    name: str
    state: State
    about: str
    makes: tuple[Path, ...] = ()
    need_mib: int = 0
    """Free disk that it is begun with."""

    need_in: Path | None = None


def stages(seen: Seen, *, proof: bool) -> tuple[Stage, ...]:
    """The stages in order; with ``proof`` those that follow a build."""
    return tuple(_stages(seen, proof=proof))


def _stages(seen: Seen, *, proof: bool) -> Iterator[Stage]:
    asked = seen.asked
    yield _media(seen)
    if seen.image:
        yield _content(seen)
    state, receipt = _state(_iso_step(seen), "earlier", asked.out / _RECORD.format("iso"))
    yield Stage(
        name="iso",
        state=state,
        about="the media with the kickstart on it, read back",
        makes=(asked.out / f"{asked.profile.name}.iso",),
        need_mib=need_mib(seen.media.size) if seen.media and seen.media.size else 0,
        need_in=asked.out,
    )
    if seen.image:
        yield from _image(seen, _digest(receipt), proof=proof)


def _image(seen: Seen, iso: Sha256 | None, *, proof: bool) -> Iterator[Stage]:
    profile, cache = seen.asked.profile, seen.asked.cache
    step = building.install(profile, cache, iso_sha256=iso) if iso else None
    earlier = (cache / "installs").glob(f"*/{_RECORD.format('install')}")
    state, receipt = _state(step, "cache", *earlier)
    yield Stage(
        name="install",
        state=state,
        about=f"the ISO is booted onto a disk of {profile.disk_size_mib} MiB",
        makes=step.outputs if step else (cache / "installs",),
        need_mib=install.NEED_MIB,
        need_in=cache,
    )
    yield from _hardened(seen, iso, _digest(receipt), base_state=state, proof=proof)


def _hardened(
    seen: Seen, iso: Sha256 | None, base: Sha256 | None, *, base_state: State, proof: bool
) -> Iterator[Stage]:
    asked, content = seen.asked, seen.content
    profile, out = asked.profile, asked.out
    assess = harden = None
    if base and content is not None:
        assess = building.assess(
            profile, asked.cache, base_sha256=base, content_sha256=content.sha256
        )
        harden = _harden_step(seen, base, content.sha256)
    earlier = (asked.cache / "assessments").glob(f"*/{_RECORD.format('assess')}")
    state, _ = _state(assess, "cache", *(() if base_state == "anew" else earlier))
    yield Stage(name="assess", state=state, about="the fresh system is booted and scanned")
    record = out / _RECORD.format("harden")
    state, receipt = _state(harden, "earlier", *(() if base_state == "anew" else (record,)))
    yield Stage(
        name="harden",
        state=state,
        about=f"layers: {', '.join(profile.layers)}; then the image is sealed",
        makes=(out / f"{profile.name}.qcow2",),
        need_mib=pipeline.COPY_MIB,
        need_in=out,
    )
    yield from _after(seen, _digest(receipt), iso, hardened=state, proof=proof)


def _after(
    seen: Seen, image: Sha256 | None, iso: Sha256 | None, *, hardened: State, proof: bool
) -> Iterator[Stage]:
    """What vouches for an image, and with ``proof`` the scan of it."""
    asked, ring = seen.asked, seen.ring
    name, out = asked.profile.name, asked.out
    content = seen.content.sha256 if seen.content else None
    vouched = scanned = None
    if ring and image and iso and content:
        vouched = steps.provenance(
            name, out, ring, image_sha256=image, iso_sha256=iso, content=content
        )
        scanned = steps.scan(asked, ring, image_sha256=image, content=content)
    known = hardened != "anew"
    record = out / _RECORD.format("provenance")
    state, _ = _state(vouched, "earlier", *((record,) if known else ()))
    yield Stage(
        name="provenance",
        state=state,
        about="SBOM and SLSA provenance, signed",
        makes=(out / f"{name}.sbom.cdx.json", out / f"{name}.provenance.sigstore.json"),
    )
    if not proof:
        return
    record = out / _RECORD.format("scan")
    state, _ = _state(scanned, "earlier", *((record,) if known else ()))
    about = "the image is booted behind an overlay, scanned, and the evidence signed"
    yield Stage(name="scan", state=state, about=about, makes=steps.evidence_of(asked))
    yield Stage(name="verify", state="anew", about="the evidence against the policy")


def _state(step: Step | None, kept: State, *records: Path) -> tuple[State, Receipt | None]:
    """How a stage goes: without its inputs it is open where there is any record at all."""
    if step is None:
        return ("open" if any(r.is_file() for r in records) else "anew"), None
    receipt = step.kept(digests=False)
    return ("anew" if receipt is None else kept), receipt


def _media(seen: Seen) -> Stage:
    media = seen.media
    if media is None:
        return Stage(name="media", state="missing", about="see the problems")
    if media.path is None:
        about = f"{media.title}, from Debian's archive by apt's signed metadata"
        return Stage(name="media", state="anew", about=about, makes=(seen.asked.cache,))
    about = f"{media.title}: {media.path}, {media.size >> 20} MiB"
    return Stage(name="media", state="cache" if media.sha256 else "given", about=about)


def _content(seen: Seen) -> Stage:
    content = seen.content
    if content is None:
        return Stage(name="content", state="missing", about="see the problems")
    state: State = "given" if content.origin_kind is ContentOrigin.FILE else "present"
    return Stage(name="content", state=state, about=str(content))


def _iso_step(seen: Seen) -> Step | None:
    """None where the digest of the media or the operator's key is not known yet."""
    asked, media = seen.asked, seen.media
    digest = media.sha256 if media else None
    if media and asked.media and asked.media_sha256:
        digest = Sha256(asked.media_sha256)
    if media is None or digest is None or seen.access is None or not seen.kickstart:
        return None
    arguments = boot_arguments(asked.profile, media.volume_id)
    return building.iso(
        asked.profile, asked.out, media_sha256=digest, text=seen.kickstart, arguments=arguments
    )


def _harden_step(seen: Seen, base: Sha256, content: Sha256) -> Step | None:
    profile, out = seen.asked.profile, seen.asked.out
    try:
        return building.harden(profile, out, base_sha256=base, content_sha256=content)
    except InputError:  # a lock that is none: among the problems already
        return None


def _digest(receipt: Receipt | None) -> Sha256 | None:
    return Sha256(str(receipt["sha256"])) if receipt else None
