"""What a run would do, and whether it could start: the way in for builds and for dry runs."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardpan import clock
from hardpan.builder import stacks
from hardpan.builder.inputs import layers as layers_of
from hardpan.builder.layers import model
from hardpan.errors import Exit, raise_all
from hardpan.events import Emit, Note
from hardpan.problems import Problem
from hardpan.profiles.software.plan import LISTED
from hardpan.prove import before
from hardpan.prove.asked import Asked
from hardpan.prove.before import Seen
from hardpan.prove.foresight import Stage, stages

_BY_DIGEST = "where this machine's pip looks, by its digest"
_SHARING_MODEL = ("ml_cpu", "ml_frameworks")
_NEXT = {
    "content": "give a data stream with --content, or leave it out",
    "disk": "free some space, or choose other folders with -o and --cache",
    "folders": "choose another folder with -o or --cache",
    "kickstart": "'hardpan render' writes the kickstart to look at; mend the profile",
    "layers": "'hardpan render' shows what each layer does; mend the profile",
    "licences": "read the licences and accept them in your own profile",
    "machine": "'hardpan doctor' tells what this machine can do",
    "media": "give the install ISO, whole and as it was downloaded, with --media",
    "signing keys": "'hardpan keys new FOLDER' makes a set for --keys",
    "ssh key": "ssh-keygen -t ecdsa -b 256 makes one",
    "stacks": "'hardpan render' shows the stacks; mend the profile or the lock",
    "timestamp": "leave --timestamp out, or give the address of an RFC 3161 authority",
    "tools": "'hardpan doctor' tells what is missing and how to get it",
}
"""Where to go on, for a problem that has no step of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run as it would go."""

    seen: Seen
    stages: tuple[Stage, ...]
    layers: tuple[dict[str, object], ...]
    """As 'hardpan render' writes them, with what of it is in the cache."""

    problems: tuple[Problem, ...]
    """All that stands in the way, in the order the run would meet it."""

    unseen: tuple[str, ...]
    """What only the run itself will show."""

    @property
    def exit_code(self) -> Exit:
        """What the run would end with before it starts; 0 when it could start."""
        return self.problems[0].error.exit_code if self.problems else Exit.DONE

    def check(self) -> None:
        """Pass if the run can start.

        Raises:
            HardpanError: all that stands in the way.
        """
        raise_all([problem.error for problem in self.problems])


def examine(
    asked: Asked, emit: Emit, *, image: bool = True, proof: bool = False, digest: bool = False
) -> Plan:
    """Look at everything; with ``digest`` at the media from end to end, too."""
    emit(Note(stage="before", text="looking at everything that it needs"))
    seen, found = before.look(asked, image=image)
    planned = stages(seen, proof=proof)
    needs = [
        (stage.need_in, stage.need_mib, f"stage {stage.name}")
        for stage in planned
        if stage.state == "anew" and stage.need_in is not None
    ]
    before.room(needs, found)
    if digest:
        before.digested(seen, found, emit)
    for problem in found.found:
        problem.error.hint = problem.error.hint or _NEXT[problem.area]
    return Plan(
        seen=seen,
        stages=planned,
        layers=tuple(_layers(seen)) if image else (),
        problems=tuple(found.found),
        unseen=tuple(_unseen(seen, planned)),
    )


def _layers(seen: Seen) -> Iterator[dict[str, object]]:
    asked = seen.asked
    coming = {one.stack: one for one in stacks.coming(asked.profile, asked.cache)}
    for layer in layers_of(asked.profile):
        told = dict(layer)
        if told["layer"] in _SHARING_MODEL:
            told["model"] = {
                "name": model.NAME,
                "from": "the cache" if model.kept(asked.cache) else _BY_DIGEST,
            }
        listed = told.get("stacks")
        if isinstance(listed, list):
            told["stacks"] = [dict(one) | _wheels(coming.get(one["stack"])) for one in listed]
        yield told


def _wheels(coming: stacks.Coming | None) -> dict[str, object]:
    if coming is None:
        return {}
    return {"locked": coming.locked, "to_download": coming.lacking}


def _unseen(seen: Seen, planned: tuple[Stage, ...]) -> Iterator[str]:
    asked, states = seen.asked, {stage.state for stage in planned}
    if asked.media is not None and seen.media is not None and asked.media_sha256 is None:
        yield (
            f"the digest of {asked.media.name}: no --media-sha256 was given, so nothing vouches"
            " for it, and what could be taken from an earlier run shows when it is read"
        )
    if asked.media is None and seen.media is not None and seen.media.path is not None:
        yield "whether Debian's archive has newer packages: then the media is made anew"
    if any(s.name == "media" and s.state == "anew" for s in planned):
        yield "whether Debian's archive answers"
    if states & {"cache", "earlier"}:
        yield "the digests of what would be taken: a stage whose result changed is run again"
    if seen.kickstart and not seen.validated:
        yield "ksvalidator's opinion of the kickstart: pip install 'hardpan[tools]'"
    if seen.image:
        yield from _unseen_of_layers(seen)
    if asked.timestamp:
        yield f"whether {asked.timestamp} answers"


def _unseen_of_layers(seen: Seen) -> Iterator[str]:
    profile = seen.asked.profile
    if any(layer in LISTED for layer in profile.layers):
        yield (
            "whether the repositories answer and have these packages at these versions: 'hardpan"
            f" media check-names --profile {profile.name} --repo URL'"
        )
        yield (
            "whether a repository sends dnf on to another host: the guest reaches those of its"
            " address alone"
        )
        yield "vendors' keys: they are got and compared before the machine is touched"
    if "ml_frameworks" in profile.layers:
        yield "whether this machine's pip finds the locked files, and how big they are"
    for ended in profile.stig.expired(clock.now().date()):
        yield (
            f"the waiver for {ended.rule} ended on {ended.expires}: the scan counts it as a finding"
        )
