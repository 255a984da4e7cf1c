"""All that is looked at before a build starts. The build and its dry run ask the same.

Nothing is written and no stage runs. What can be told only by work of minutes (the
digest of an ISO that nobody gave one for, what the archives have today) is left alone.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.builder import ksvalidator, tools
from hardpan.builder import pipeline as building
from hardpan.builder.layers.rehearsal import rehearse
from hardpan.builder.machine import firmware
from hardpan.builder.machine.probe import Acceleration, acceleration
from hardpan.builder.media import sources
from hardpan.builder.media.sources import Offer
from hardpan.builder.receipts import Access
from hardpan.errors import InputError, ResourceError, UsageError, raise_all
from hardpan.events import Emit, Note
from hardpan.files import check_sha256, need_free
from hardpan.problems import Problems
from hardpan.prove import keyring
from hardpan.prove.asked import Asked
from hardpan.prove.keyring import KeyRing
from hardpan.scanners.commands.terms import stamp
from hardpan.scanners.content import datastream
from hardpan.scanners.content.datastream import Source

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STAND_IN = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= nobody"
)
"""In the place of a key that the build will make; nobody has its private half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found; None for what is not there, cannot be used or was not asked for."""

    asked: Asked
    image: bool
    """False where an ISO is all that is wanted."""

    power: Acceleration | None = None
    access: Access | None = None
    kickstart: str = ""
    """Its text, with a stand-in for a key that is yet to be made."""

    validated: bool = False
    """True when ksvalidator accepts it, False when it was not asked."""

    media: Offer | None = None
    ring: KeyRing | None = None
    content: Source | None = None


def look(asked: Asked, *, image: bool) -> tuple[Seen, Problems]:
    """What is there and all that stands in the way, in the order a build would meet it."""
    profile = asked.profile
    found = building.problems(profile, image=image)
    with found.of("timestamp"):
        stamp(asked.timestamp)
    for folder in (asked.out, asked.cache):
        with found.of("folders"):
            _writable(folder)
    with found.of("tools"):
        raise_all(tuple(tools.lacking(profile, image=image)))
    seen = _media(_access(_machine(Seen(asked=asked, image=image), found), found), found)
    if not image:
        return seen, found
    if tools.path_of("ansible-playbook") is not None:
        with found.of("layers"):
            rehearse(profile)
    return _content(_ring(seen, found), found), found


def digested(seen: Seen, found: Problems, emit: Emit) -> None:
    """Hold the media against the digest that a person gave, where one was given.

    A build does it in its first stage; here it takes as long as reading the ISO.
    """
    asked = seen.asked
    if seen.media is not None and asked.media is not None and asked.media_sha256 is not None:
        emit(Note(stage="media", text=f"checking the digest of {asked.media.name}"))
        with found.of("media"):
            check_sha256(asked.media, asked.media_sha256)


def check_digest_form(text: str | None) -> None:
    """Pass if ``text`` is a digest or nothing.

    Raises:
        UsageError: it is neither.
    """
    if text is not None and not _SHA256.fullmatch(text):
        raise UsageError(f"--media-sha256 {text}: expected 64 digits 0-9 a-f, as sha256sum prints")


def room(needs: Iterable[tuple[Path, int, str]], found: Problems) -> None:
    """Look for free disk: folder, MiB and for what."""
    for folder, mib, what in needs:
        with found.of("disk"):
            need_free(folder.absolute(), mib, what=what)


def _machine(seen: Seen, found: Problems) -> Seen:
    machine = seen.asked.profile.machine
    power = None
    with found.of("machine"):
        power = acceleration()
    if seen.image and machine.firmware == "uefi":
        with found.of("machine"):
            firmware.need()
    with found.of("machine"):
        _memory(machine.memory_mib if seen.image else 0)
    return replace(seen, power=power)


def _access(seen: Seen, found: Problems) -> Seen:
    asked = seen.asked
    profile = asked.profile
    access, text, validated = None, "", False
    with found.of("ssh key"):
        access = keyring.operator_there(profile.build_user, asked.ssh_key, asked.data)
    with found.of("kickstart"):
        public = _STAND_IN if access is None else access.public_key
        text = building.kickstart(profile, public, asked.passphrase())
        validated = ksvalidator.validated(text, profile.release)
    return replace(seen, access=access, kickstart=text, validated=validated)


def _media(seen: Seen, found: Problems) -> Seen:
    asked = seen.asked
    name = asked.profile.media.catalog
    offer = None
    with found.of("media"):
        offer = sources.look(name, file=asked.media, cache=asked.cache)
    return replace(seen, media=offer)


def _ring(seen: Seen, found: Problems) -> Seen:
    asked = seen.asked
    with found.of("signing keys"):
        ring = keyring.signing_there(asked.keys, asked.data, asked.out, asked.signers)
        return replace(seen, ring=ring)
    return seen


def _content(seen: Seen, found: Problems) -> Seen:
    asked = seen.asked
    with found.of("content"):
        content = datastream.find(asked.profile.stig.content, asked.content)
        return replace(seen, content=content)
    return seen


def _writable(folder: Path) -> None:
    """Pass if ``folder`` is there and can be written to, or can be made."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{folder}: expected a folder, found the file {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: expected a folder that can be written to, {there} cannot")


def _memory(need_mib: int) -> None:
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    if there < need_mib:
        raise ResourceError(
            f"machine.memory: the guest needs {need_mib} MiB, this machine has {there} MiB",
            hint="a smaller machine in your own profile, or a larger one to build on",
        )
