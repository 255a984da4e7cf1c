"""A plan as lines for people, and as data for programs."""

import textwrap
from collections.abc import Iterator

from hardpan.builder.layers import packages
from hardpan.errors import ToolError
from hardpan.files import sha256_bytes
from hardpan.problems import Problem
from hardpan.profiles.load import digest
from hardpan.profiles.model import Profile
from hardpan.prove.examine import Plan
from hardpan.prove.foresight import Stage

_WIDTH = 110
_STATES = {
    "given": "the file that was named",
    "present": "on this machine",
    "cache": "from the cache",
    "earlier": "from an earlier run",
    "anew": "made anew",
    "open": "taken or made anew, which shows on the way",
    "missing": "NONE",
}


def data(plan: Plan) -> dict[str, object]:
    """The plan for programs."""
    seen = plan.seen
    return {
        "profile": seen.asked.profile.name,
        "profile_sha256": digest(seen.asked.profile),
        "could_start": not plan.problems,
        "exit_code": int(plan.exit_code),
        "problems": [_problem(p) for p in plan.problems],
        "setting": dict(_setting(plan)),
        "kickstart_sha256": sha256_bytes(seen.kickstart.encode()) if seen.access else None,
        "stages": [_stage(s) for s in plan.stages],
        "layers": list(plan.layers),
        "not_looked_at": list(plan.unseen),
    }


def lines(plan: Plan) -> Iterator[str]:
    """The plan for people."""
    profile = plan.seen.asked.profile
    yield f"dry run of {profile.name}: nothing is written, no stage is run"
    yield ""
    for name, text in _setting(plan):
        yield from _wrapped(f"  {name:<11} ", text)
    yield from ("", "stages")
    for n, stage in enumerate(plan.stages, 1):
        yield from _wrapped(f"  {n} {stage.name:<11} ", f"{_STATES[stage.state]}: {stage.about}")
        if stage.state in ("anew", "open"):
            yield from (f"{'':<17}-> {path}" for path in stage.makes)
    if plan.layers:
        yield from ("", "layers, in this order")
    for n, layer in enumerate(plan.layers, 1):
        yield from _layer(n, layer)
    if plan.unseen:
        yield from ("", "not looked at")
    for text in plan.unseen:
        yield from _wrapped("  - ", text)
    yield ""
    yield from _verdict(plan)


def _verdict(plan: Plan) -> Iterator[str]:
    if not plan.problems:
        yield "it could start"
        return
    n = len(plan.problems)
    yield f"{n} problem{'s' * (n > 1)}; it would end with exit code {int(plan.exit_code)}"
    for i, problem in enumerate(plan.problems, 1):
        told = _problem(problem)
        yield from _wrapped(f"  {i} {problem.area}: ", str(told["what"]), under="    ")
        for line in str(told["said"]).splitlines():
            yield f"    | {line}"
        yield from _wrapped("    -> ", str(told["next"]))


def _problem(problem: Problem) -> dict[str, object]:
    e = problem.error
    tail = e.tail.splitlines() if isinstance(e, ToolError) else []
    return {
        "area": problem.area,
        "what": str(e),
        "said": "\n".join(tail),
        "next": e.hint,
        "exit_code": int(e.exit_code),
    }


def _stage(stage: Stage) -> dict[str, object]:
    return {
        "stage": stage.name,
        "state": stage.state,
        "about": stage.about,
        "makes": [str(path) for path in stage.makes],
        "need_mib": stage.need_mib,
        "need_in": str(stage.need_in) if stage.need_in else None,
    }


def _setting(plan: Plan) -> Iterator[tuple[str, str]]:
    seen = plan.seen
    asked, profile = seen.asked, seen.asked.profile
    yield "profile", profile.title
    yield "outputs", f"{asked.out}"
    yield "cache", f"{asked.cache}"
    if seen.power is not None:
        yield (
            "guests",
            (
                f"{profile.machine.vcpus} processors, {profile.machine.memory_mib} MiB,"
                f" {profile.machine.firmware}; {seen.power.kind}: {seen.power.reason}"
            ),
        )
    if seen.image:
        yield "way out", _reaches(profile)
    key = seen.access.private_key if seen.access else "a key that is generated"
    yield "login", f"{profile.build_user}, by {asked.ssh_key or key}"
    if seen.image:
        yield "signs", _signs(plan)
    if seen.kickstart:
        who = "our linter, bash and ksvalidator" if seen.validated else "our linter and bash"
        yield "kickstart", f"{seen.kickstart.count(chr(10))} lines, accepted by {who}"
    needs = [s for s in plan.stages if s.state in ("anew", "open") and s.need_mib]
    if needs:
        each = ", ".join(f"{s.name} {s.need_mib}" for s in needs)
        total = sum(s.need_mib for s in needs)
        yield "disk", f"MiB free that a stage is begun with: {each}; together {total} at most"


def _reaches(profile: Profile) -> str:
    reached = packages.reached(profile)
    if not reached:
        return "none: the guests reach nobody"
    told = ", ".join(map(str, reached))
    return f"none, but for the guest of harden, by way of this machine: {told}"


def _signs(plan: Plan) -> str:
    seen = plan.seen
    if seen.ring is not None:
        keys = {"scan": seen.ring.scan, "build": seen.ring.build, "scan-pq": seen.ring.pq}
        return ", ".join(
            f"{role} {key.public.alg} sha256:{key.public.sha256[:16]}…"
            for role, key in keys.items()
            if key is not None
        )
    if seen.asked.keys is not None or any(p.area == "signing keys" for p in plan.problems):
        return "see the problems"
    return "generated trial keys; 'hardpan keys new' makes your own"


def _layer(n: int, layer: dict[str, object]) -> Iterator[str]:
    yield from _wrapped(f"  {n} {layer['layer']}: ", str(layer["does"]), under="      ")
    model = layer.get("model")
    if isinstance(model, dict):
        yield f"      model {model['name']}, from {model['from']}"
    for origin in _rows(layer.get("from")):
        yield from _wrapped("      from ", f"{origin['repository']}: {origin['url']}")
        yield from _wrapped("        key ", f"{origin['key']}, sha256 {origin['key_sha256']}")
    packages = _rows(layer.get("packages"))
    if packages:
        names = ", ".join(_package(p) for p in packages)
        n = len(packages)
        size = str(layer["size"])
        size = "unknown" if size.startswith(f"unknown for {n} of {n} ") else size
        head = f"      {n} package{'s' * (n > 1)}, size {size}: "
        yield from _wrapped(head, names, under="        ")
    for stack in _rows(layer.get("stacks")):
        yield from _wrapped(f"      stack {stack['stack']}: ", _stack(stack), under="        ")


def _package(told: dict[str, object]) -> str:
    version = told.get("version") or told.get("module_stream") or ""
    return f"{told['package']} {version}".strip()


def _stack(told: dict[str, object]) -> str:
    if "locked" not in told:
        return f"lock {told['lock']}"
    return (
        f"lock {told['lock']}, {told['locked']} files, {told['to_download']} of them to get from"
        f" {told['from']}; one signed RPM, {told['rpm']}"
    )


def _rows(told: object) -> list[dict[str, object]]:
    return [dict(one) for one in told] if isinstance(told, list) else []


def _wrapped(first: str, text: str, *, under: str = "") -> list[str]:
    """``text`` behind ``first``, further lines below it; words stay whole."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=under or " " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
