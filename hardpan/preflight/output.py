"""A plan as lines for people, and as data for programs."""

import textwrap
from collections.abc import Iterator

from hardpan.builder.layers import vendor_packages
from hardpan.core.error_collector import CollectedError
from hardpan.core.errors import ToolError
from hardpan.core.files import sha256_bytes
from hardpan.preflight.plan import RunPlan
from hardpan.preflight.stage_plan import PlannedStage
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.profile import Profile

_MAX_LINE_CHARS = 110
_STATE_LABELS = {
    "given": "the file that was named",
    "present": "on this machine",
    "cache": "from the cache",
    "earlier": "from an earlier run",
    "anew": "made anew",
    "open": "taken or made anew, which shows on the way",
    "missing": "NONE",
}


def to_json(plan: RunPlan) -> dict[str, object]:
    """The plan for programs."""
    environment = plan.environment
    return {
        "profile": environment.request.profile.name,
        "profile_sha256": profile_digest(environment.request.profile),
        "could_start": not plan.errors,
        "exit_code": int(plan.exit_code),
        "problems": [_error_to_json(error) for error in plan.errors],
        "setting": dict(_describe_settings(plan)),
        "kickstart_sha256": sha256_bytes(environment.kickstart.encode())
        if environment.access
        else None,
        "stages": [_stage_to_json(s) for s in plan.stages],
        "layers": list(plan.layers),
        "not_looked_at": list(plan.unchecked),
    }


def to_text(plan: RunPlan) -> Iterator[str]:
    """The plan for people."""
    profile = plan.environment.request.profile
    yield f"dry run of {profile.name}: nothing is written, no stage is run"
    yield ""
    for name, text in _describe_settings(plan):
        yield from _wrap(f"  {name:<11} ", text)
    yield from ("", "stages")
    for number, stage in enumerate(plan.stages, 1):
        yield from _wrap(
            f"  {number} {stage.name:<11} ", f"{_STATE_LABELS[stage.state]}: {stage.description}"
        )
        if stage.state in ("anew", "open"):
            yield from (f"{'':<17}-> {path}" for path in stage.outputs)
    if plan.layers:
        yield from ("", "layers, in this order")
    for number, layer in enumerate(plan.layers, 1):
        yield from _format_layer(number, layer)
    if plan.unchecked:
        yield from ("", "not looked at")
    for text in plan.unchecked:
        yield from _wrap("  - ", text)
    yield ""
    yield from _format_verdict(plan)


def _format_verdict(plan: RunPlan) -> Iterator[str]:
    if not plan.errors:
        yield "it could start"
        return
    count = len(plan.errors)
    yield f"{count} problem{'s' * (count > 1)}; it would end with exit code {int(plan.exit_code)}"
    for number, problem in enumerate(plan.errors, 1):
        fields = _error_to_json(problem)
        yield from _wrap(f"  {number} {problem.area}: ", str(fields["what"]), indent="    ")
        for line in str(fields["said"]).splitlines():
            yield f"    | {line}"
        yield from _wrap("    -> ", str(fields["next"]))


def _error_to_json(collected: CollectedError) -> dict[str, object]:
    error = collected.error
    output_lines = error.output_tail.splitlines() if isinstance(error, ToolError) else []
    return {
        "area": collected.area,
        "what": str(error),
        "said": "\n".join(output_lines),
        "next": error.hint,
        "exit_code": int(error.exit_code),
    }


def _stage_to_json(stage: PlannedStage) -> dict[str, object]:
    return {
        "stage": stage.name,
        "state": stage.state,
        "about": stage.description,
        "makes": [str(path) for path in stage.outputs],
        "need_mib": stage.required_mib,
        "need_in": str(stage.required_in) if stage.required_in else None,
    }


def _describe_settings(plan: RunPlan) -> Iterator[tuple[str, str]]:
    environment = plan.environment
    request, profile = environment.request, environment.request.profile
    yield "profile", profile.title
    yield "outputs", f"{request.output_folder}"
    yield "cache", f"{request.cache_folder}"
    if environment.acceleration is not None:
        yield (
            "guests",
            (
                f"{profile.machine.vcpus} processors, {profile.machine.memory_mib} MiB,"
                f" {profile.machine.firmware}; {environment.acceleration.kind}: {environment.acceleration.reason}"
            ),
        )
    if environment.builds_image:
        yield "way out", _describe_egress(profile)
    key = environment.access.private_key if environment.access else "a key that is generated"
    yield "login", f"{profile.build_user}, by {request.ssh_key_file or key}"
    if environment.builds_image:
        yield "signs", _describe_signers(plan)
    if environment.kickstart:
        validators = (
            "our linter, bash and ksvalidator"
            if environment.is_validated
            else "our linter and bash"
        )
        yield "kickstart", f"{environment.kickstart.count(chr(10))} lines, accepted by {validators}"
    disk_stages = [s for s in plan.stages if s.state in ("anew", "open") and s.required_mib]
    if disk_stages:
        sizes = ", ".join(f"{s.name} {s.required_mib}" for s in disk_stages)
        total = sum(s.required_mib for s in disk_stages)
        yield "disk", f"MiB free that a stage is begun with: {sizes}; together {total} at most"


def _describe_egress(profile: Profile) -> str:
    endpoints = vendor_packages.allowed_endpoints(profile)
    if not endpoints:
        return "none: the guests reach nobody"
    endpoint_list = ", ".join(map(str, endpoints))
    return f"none, but for the guest of harden, by way of this machine: {endpoint_list}"


def _describe_signers(plan: RunPlan) -> str:
    environment = plan.environment
    if environment.keyring is not None:
        keys = {
            "scan": environment.keyring.scan,
            "build": environment.keyring.build,
            "scan-pq": environment.keyring.pq,
        }
        return ", ".join(
            f"{role} {key.public.alg} sha256:{key.public.sha256[:16]}…"
            for role, key in keys.items()
            if key is not None
        )
    if environment.request.keys_folder is not None or any(
        p.area == "signing keys" for p in plan.errors
    ):
        return "see the problems"
    return "generated trial keys; 'hardpan keys new' makes your own"


def _format_layer(number: int, layer: dict[str, object]) -> Iterator[str]:
    yield from _wrap(f"  {number} {layer['layer']}: ", str(layer["does"]), indent="      ")
    model = layer.get("model")
    if isinstance(model, dict):
        yield f"      model {model['name']}, from {model['from']}"
    for origin in _dict_rows(layer.get("from")):
        yield from _wrap("      from ", f"{origin['repository']}: {origin['url']}")
        yield from _wrap("        key ", f"{origin['key']}, sha256 {origin['key_sha256']}")
    layer_packages = _dict_rows(layer.get("packages"))
    if layer_packages:
        names = ", ".join(_format_package(package) for package in layer_packages)
        number = len(layer_packages)
        size = str(layer["size"])
        size = "unknown" if size.startswith(f"unknown for {number} of {number} ") else size
        heading = f"      {number} package{'s' * (number > 1)}, size {size}: "
        yield from _wrap(heading, names, indent="        ")
    for stack in _dict_rows(layer.get("stacks")):
        yield from _wrap(f"      stack {stack['stack']}: ", _format_stack(stack), indent="        ")


def _format_package(package: dict[str, object]) -> str:
    version = package.get("version") or package.get("module_stream") or ""
    return f"{package['package']} {version}".strip()


def _format_stack(stack: dict[str, object]) -> str:
    if "locked" not in stack:
        return f"lock {stack['lock']}"
    return (
        f"lock {stack['lock']}, {stack['locked']} files, {stack['to_download']} of them to get from"
        f" {stack['from']}; one signed RPM, {stack['rpm']}"
    )


def _dict_rows(value: object) -> list[dict[str, object]]:
    return [dict(row) for row in value] if isinstance(value, list) else []


def _wrap(prefix: str, text: str, *, indent: str = "") -> list[str]:
    """``text`` behind ``first``, further lines below it; words stay whole."""
    return textwrap.wrap(
        text,
        _MAX_LINE_CHARS,
        initial_indent=prefix,
        subsequent_indent=indent or " " * len(prefix),
        break_long_words=False,
        break_on_hyphens=False,
    )
