"""The paired checks: one program goes to the target, both halves of each conflict come back.

The target's answer is hostile: it can say what it found, bounded and in the five words
of ``Held``, and no more. What was looked at and expected, and whether a conflict may be
absent from a host at all, is our own list's to say; the verdict is weighed here.
"""

import json
from collections.abc import Mapping, Sequence

from hardpan.errors import ToolError
from hardpan.profiles.model import Profile
from hardpan.resources import resource_path
from hardpan.scanners.collect.answers import exactly, load, unread
from hardpan.scanners.paired.conflicts import Asked, Conflict, conflicts
from hardpan.scanners.paired.verdict import weighed
from hardpan.scanners.transport import Transport
from hardpan.scanners.trials import Half, Held, Pair, Paired, PairVerdict

LAYERS = frozenset({"ml_frameworks", "sovereign_stack"})
"""Layers that bring what the paired checks are about."""

_WORKLOAD = resource_path("hardpan.scanners.collect.workload", "paired")
_MODULES = (
    *("tools", "native", "collective", "egress", "packages", "probes", "actions"),
    *("confined", "facts", "host", "kernel", "main"),
)
"""The program's files, each after those it needs."""

_MAX_BYTES = 1 << 20
_MAX_TEXT = 1000
_WHAT = "the paired checks"

# Reads the program from its standard input, so that no file of ours lies on the target.
# systemd-run expands $ in arguments: there is none in it.
_BOOT = """
import json, sys, types
told = json.load(sys.stdin)
package = types.ModuleType("paired")
package.__path__ = []
sys.modules["paired"] = package
for name in told["sources"]:
    module = types.ModuleType("paired." + name)
    module.__package__ = "paired"
    sys.modules["paired." + name] = module
    setattr(package, name, module)
    exec(compile(told["sources"][name], "<paired " + name + ">", "exec"), module.__dict__)
getattr(package, told["run"]).main(told["sent"])
"""


def wanted(profile: Profile, *, asked: bool = False) -> bool:
    """Whether a scan with ``profile`` runs the paired checks; ``asked`` says yes in any case."""
    return asked or bool(LAYERS & set(profile.layers))


def paired(via: Transport, *, timeout_s: float) -> Paired:
    """Both halves of every known conflict, as the target shows them.

    Raises:
        ToolError: the program cannot run there, does not end in time, or
            answers nonsense.
        UnreachableError: the connection broke.
    """
    done = via.run(
        ["/usr/bin/python3", "-I", "-c", _BOOT],
        timeout_s=timeout_s,
        stdin=program(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    return judged(done.data, conflicts())


def failed(reason: str) -> Paired:
    """The result where the program did not run or gave no answer that can be read."""
    halves = dict.fromkeys(("control", "action"), (Held.ERROR, reason))
    return Paired(confinement="", pairs=tuple(_weighed(c, halves) for c in conflicts()))


def program() -> bytes:
    """What is sent to the target."""
    sources = {name: (_WORKLOAD / f"{name}.py").read_text("utf-8") for name in _MODULES}
    # The order of the files counts, so this is no canonical JSON.
    sent = {"boot": _BOOT, "sources": sources}
    return json.dumps({"sources": sources, "run": "main", "sent": sent}).encode()


def judged(data: bytes, known: Sequence[Conflict]) -> Paired:
    """The verdicts over what the program printed.

    Raises:
        ToolError: it is not the expected JSON.
    """
    try:
        told = exactly(load(data), ("confinement", "halves"))
        halves = told["halves"]
        if not isinstance(halves, dict):
            raise TypeError("expected an object of halves")
        odd = sorted(set(halves) - {c.id for c in known})
        if odd:
            raise ValueError(f"a conflict that nobody asked about: {odd[0][:40]!a}")
        pairs = tuple(_pair(c, halves.get(c.id)) for c in known)
        return Paired(confinement=_line(told["confinement"]), pairs=pairs)
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError([_WHAT], f"gave an answer that cannot be read: {unread(e)}") from e


def _pair(conflict: Conflict, told: object) -> Pair:
    if told is None:
        missing = (Held.NOT_ASKED, "the target gave no answer")
        found = {"control": missing, "action": missing}
    else:
        halves = exactly(told, ("control", "action"))
        found = {name: _told(half, conflict) for name, half in halves.items()}
    return _weighed(conflict, found)


def _weighed(conflict: Conflict, found: Mapping[str, tuple[Held, str]]) -> Pair:
    control = _half(conflict.control, *found["control"])
    action = _half(conflict.action, *found["action"])
    return Pair(
        conflict=conflict.id,
        row=conflict.row,
        title=conflict.title,
        rules=conflict.rules,
        content=conflict.content,
        resolution=conflict.resolution,
        verdict=PairVerdict(weighed(control.outcome, action.outcome)),
        reason=_reason(control, action),
        control=control,
        action=action,
    )


def _told(half: object, conflict: Conflict) -> tuple[Held, str]:
    if not isinstance(half, list) or len(half) != 2:
        raise TypeError("expected an outcome and what was found")
    outcome, found = Held(half[0]), _line(half[1])
    if outcome is Held.NOT_APPLICABLE and conflict.needs is None:
        return Held.ERROR, f"every host has this conflict, this one says not: {found}"
    return outcome, found


def _half(asked: Asked, outcome: Held, found: str) -> Half:
    return Half(outcome=outcome, looked_at=asked.looks_at, expected=asked.expects, found=found)


def _reason(control: Half, action: Half) -> str:
    """Why the verdict is no pass: the halves that say so, in their own words."""
    halves = (("control", control), ("AI action", action))
    open_ = [(name, h) for name, h in halves if h.outcome is not Held.HOLDS]
    if not open_:
        return "the control holds and the AI action works"
    worst = next(v for v in _WORST_FIRST if any(h.outcome is v for _, h in open_))
    return "; ".join(f"{name}: {h.found or worst}" for name, h in open_ if h.outcome is worst)


_WORST_FIRST = (Held.BROKEN, Held.ERROR, Held.NOT_APPLICABLE, Held.NOT_ASKED)


def _line(value: object) -> str:
    """One line of a target's text, bounded, with what does not print shown as U+FFFD."""
    if not isinstance(value, str):
        raise TypeError("expected text")
    return "".join(c if c.isprintable() else "\ufffd" for c in value[:_MAX_TEXT])
