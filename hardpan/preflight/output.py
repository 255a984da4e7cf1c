"""A plan as text and as JSON."""

import textwrap
from collections.abc import Iterator

from hardpan.builder.layers import vendor_packages
from hardpan.core.error_collector import CollectedError
from hardpan.core.errors import ToolError
from hardpan.core.files import sha256_bytes
from hardpan.preflight.plan import RunPlan
from hardpan.preflight.stage_plan import PlannedStage, StageState
from hardpan.profiles.loader.profile_file import profile_digest
from hardpan.profiles.schema.profile import Profile
from hardpan.workflow.request import BuildRequest

_MAX_LINE_CHARS = 110
_STATE_LABELS = {
    StageState.PROVIDED: "provided by an option",
    StageState.INSTALLED: "on this machine",
    StageState.CACHED: "reused from the cache",
    StageState.REUSE: "reused from a previous run",
    StageState.BUILD: "build",
    StageState.UNDETERMINED: "undetermined (reused or rebuilt, decided at run time)",
    StageState.MISSING: "MISSING",
}


def to_json(plan: RunPlan) -> dict[str, object]:
    """Return the plan as JSON values."""
    environment = plan.environment
    return {
        "profile": environment.request.profile.name,
        "profile_sha256": profile_digest(environment.request.profile),
        "can_start": not plan.errors,
        "exit_code": int(plan.exit_code),
        "problems": [_error_to_json(error) for error in plan.errors],
        "settings": dict(_describe_settings(plan)),
        "kickstart_sha256": sha256_bytes(environment.kickstart.encode())
        if environment.access
        else None,
        "stages": [_stage_to_json(s) for s in plan.stages],
        "layers": list(plan.layers),
        "not_checked": list(plan.unchecked),
    }


def to_text(plan: RunPlan) -> Iterator[str]:
    """Return the plan as lines of text."""
    profile = plan.environment.request.profile
    yield f"dry run of {profile.name}: nothing is written and no stage runs"
    yield ""
    for name, text in _describe_settings(plan):
        yield from _wrap(f"  {name:<14} ", text)
    yield from ("", "stages")
    width = _name_width(plan)
    for number, stage in enumerate(plan.stages, 1):
        heading = f" {number:>2} {stage.name:<{width}}  "
        yield from _wrap(heading, f"{_STATE_LABELS[stage.state]}: {stage.description}")
        if stage.may_run:
            yield from (f"{'':<{len(heading)}}-> {path}" for path in stage.outputs)
    if plan.layers:
        yield from ("", "layers, in order")
    for number, layer in enumerate(plan.layers, 1):
        yield from _format_layer(number, layer)
    if plan.unchecked:
        yield from ("", "not checked")
    for text in plan.unchecked:
        yield from _wrap("  - ", text)
    yield ""
    yield from _format_verdict(plan)


def explain_to_json(plan: RunPlan) -> dict[str, object]:
    """Return for each stage whether it is built or reused, and why, as JSON values."""
    return {
        "profile": plan.environment.request.profile.name,
        "can_start": not plan.errors,
        "stages": [
            {"stage": stage.name, "state": stage.state, "reasons": list(stage.reasons)}
            for stage in plan.stages
        ],
    }


def explain_to_text(plan: RunPlan) -> Iterator[str]:
    """Return for each stage whether it is built or reused, and why, as lines of text."""
    width = _name_width(plan)
    for stage in plan.stages:
        label = _STATE_LABELS[stage.state]
        text = f"{label}: {'; '.join(stage.reasons)}" if stage.reasons else label
        yield from _wrap(f"{stage.name:<{width}}  ", text)
    if plan.errors:
        yield ""
        yield from _format_verdict(plan)


def _name_width(plan: RunPlan) -> int:
    return max(len(stage.name) for stage in plan.stages)


def _format_verdict(plan: RunPlan) -> Iterator[str]:
    if not plan.errors:
        yield "the run can start"
        return
    count = len(plan.errors)
    yield f"{count} problem{'s' * (count > 1)}; the run would exit with {int(plan.exit_code)}"
    for number, problem in enumerate(plan.errors, 1):
        fields = _error_to_json(problem)
        yield from _wrap(f"  {number} {problem.area}: ", str(fields["message"]), indent="    ")
        for line in str(fields["output"]).splitlines():
            yield f"    | {line}"
        yield from _wrap("    -> ", str(fields["hint"]))


def _describe_consent(request: BuildRequest) -> str:
    if request.erase_disks or request.profile.storage.erase_disks:
        return "the ISO erases disks 5 s after its boot (consent was given)"
    return "the ISO waits in its boot menu; --erase-disks makes it start by itself"


def _error_to_json(collected: CollectedError) -> dict[str, object]:
    error = collected.error
    output_lines = error.output_tail.splitlines() if isinstance(error, ToolError) else []
    return {
        "area": collected.area,
        "message": str(error),
        "output": "\n".join(output_lines),
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }


def _stage_to_json(stage: PlannedStage) -> dict[str, object]:
    return {
        "stage": stage.name,
        "state": stage.state,
        "description": stage.description,
        "reasons": list(stage.reasons),
        "outputs": [str(path) for path in stage.outputs],
        "required_mib": stage.required_mib,
        "required_in": str(stage.required_in) if stage.required_in else None,
    }


def _describe_settings(plan: RunPlan) -> Iterator[tuple[str, str]]:
    environment = plan.environment
    request, profile = environment.request, environment.request.profile
    yield "profile", profile.title
    yield "outputs", f"{request.output_folder}"
    yield "cache", f"{request.cache_folder}"
    if environment.acceleration is not None:
        machine, acceleration = profile.machine, environment.acceleration
        yield (
            "guests",
            (
                f"{machine.vcpus} processors, {machine.memory_mib} MiB, {machine.firmware};"
                f" {acceleration.kind}: {acceleration.reason}"
            ),
        )
    if environment.builds_image:
        yield "network egress", _describe_egress(profile)
    yield "erases disks", _describe_consent(request)
    key = environment.access.private_key if environment.access else "generated in the data folder"
    yield "ssh user", f"{profile.build_user} (key: {request.ssh_key_file or key})"
    if environment.builds_image:
        yield "signing keys", _describe_signers(plan)
    if environment.kickstart:
        validators = "linter and bash"
        if environment.is_validated:
            validators = "linter, bash and ksvalidator"
        line_count = environment.kickstart.count("\n")
        yield "kickstart", f"{line_count} lines, accepted by {validators}"
    disk_stages = [stage for stage in plan.stages if stage.may_run and stage.required_mib]
    if disk_stages:
        sizes = ", ".join(f"{stage.name} {stage.required_mib}" for stage in disk_stages)
        total = sum(stage.required_mib for stage in disk_stages)
        yield "free disk", f"MiB required at the start of each stage: {sizes}; at most {total}"


def _describe_egress(profile: Profile) -> str:
    endpoints = vendor_packages.allowed_endpoints(profile)
    if not endpoints:
        return "none"
    endpoint_list = ", ".join(map(str, endpoints))
    return f"only during harden, through a proxy on this machine: {endpoint_list}"


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
    return "generated trial keys; 'hardpan keys new' creates your own"


def _format_layer(number: int, layer: dict[str, object]) -> Iterator[str]:
    yield from _wrap(f"  {number} {layer['layer']}: ", str(layer["description"]), indent="      ")
    model = layer.get("model")
    if isinstance(model, dict):
        yield f"      model {model['name']}, from {model['source']}"
    for repository in _dict_rows(layer.get("repositories")):
        yield from _wrap("      from ", f"{repository['repository']}: {repository['url']}")
        yield from _wrap("        key ", f"{repository['key']}, sha256 {repository['key_sha256']}")
    layer_packages = _dict_rows(layer.get("packages"))
    if layer_packages:
        names = ", ".join(_format_package(package) for package in layer_packages)
        count = len(layer_packages)
        size = str(layer["size"])
        if size.startswith(f"unknown for {count} of {count} "):
            size = "unknown"
        heading = f"      {count} package{'s' * (count > 1)}, size {size}: "
        yield from _wrap(heading, names, indent="        ")
    for stack in _dict_rows(layer.get("stacks")):
        yield from _wrap(f"      stack {stack['stack']}: ", _format_stack(stack), indent="        ")


def _format_package(package: dict[str, object]) -> str:
    version = package.get("version") or package.get("module_stream") or ""
    name = f"{package['package']} {version}".strip()
    return f"{name} ({package['purpose']})" if "purpose" in package else name


def _format_stack(stack: dict[str, object]) -> str:
    if "locked_files" not in stack:
        return f"lock {stack['lock']}"
    return (
        f"lock {stack['lock']}: {stack['locked_files']} files, {stack['files_to_download']} to"
        f" download from {stack['source']}; signed RPM {stack['rpm']}"
    )


def _dict_rows(value: object) -> list[dict[str, object]]:
    return [dict(row) for row in value] if isinstance(value, list) else []


def _wrap(prefix: str, text: str, *, indent: str = "") -> list[str]:
    """Wrap ``text`` after ``prefix``; long words are not broken."""
    return textwrap.wrap(
        text,
        _MAX_LINE_CHARS,
        initial_indent=prefix,
        subsequent_indent=indent or " " * len(prefix),
        break_long_words=False,
        break_on_hyphens=False,
    )
