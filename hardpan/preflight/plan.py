"""What a run would do, and whether it could start: the way in for builds and for dry runs."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.builder import python_stacks
from hardpan.builder.ai_models import embedding
from hardpan.builder.build_manifest import describe_layers as describe_layers
from hardpan.core import clock
from hardpan.core.error_collector import CollectedError
from hardpan.core.errors import Exit, raise_if_any
from hardpan.core.events import Emit, StageMessage
from hardpan.preflight import checks
from hardpan.preflight.checks import Environment
from hardpan.preflight.stage_plan import PlannedStage, plan_stages
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS
from hardpan.workflow.request import BuildRequest

_PIP_SOURCE = "where this machine's pip looks, by its digest"
_MODEL_LAYERS = ("ml_cpu", "ml_frameworks")
_DEFAULT_HINTS = {
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
class RunPlan:
    """A run as it would go."""

    environment: Environment
    stages: tuple[PlannedStage, ...]
    layers: tuple[dict[str, object], ...]
    """As 'hardpan render' writes them, with what of it is in the cache."""

    errors: tuple[CollectedError, ...]
    """All that stands in the way, in the order the run would meet it."""

    unchecked: tuple[str, ...]
    """What only the run itself will show."""

    @property
    def exit_code(self) -> Exit:
        """What the run would end with before it starts; 0 when it could start."""
        return self.errors[0].error.exit_code if self.errors else Exit.OK

    def require_startable(self) -> None:
        """Pass if the run can start.

        Raises:
            HardpanError: all that stands in the way.
        """
        raise_if_any([problem.error for problem in self.errors])


def make_plan(
    request: BuildRequest,
    emit: Emit,
    *,
    builds_image: bool = True,
    with_scan: bool = False,
    check_media_digest: bool = False,
) -> RunPlan:
    """Look at everything; with ``digest`` at the media from end to end, too."""
    emit(StageMessage(stage="before", text="looking at everything that it needs"))
    environment, errors = checks.run_checks(request, builds_image=builds_image)
    planned_stages = plan_stages(environment, with_scan=with_scan)
    requirements = [
        (stage.required_in, stage.required_mib, f"stage {stage.name}")
        for stage in planned_stages
        if stage.state == "anew" and stage.required_in is not None
    ]
    checks.check_disk_space(requirements, errors)
    if check_media_digest:
        checks.verify_media_digest(environment, errors, emit)
    for collected in errors.collected:
        collected.error.hint = collected.error.hint or _DEFAULT_HINTS[collected.area]
    return RunPlan(
        environment=environment,
        stages=planned_stages,
        layers=tuple(_plan_layers(environment)) if builds_image else (),
        errors=tuple(errors.collected),
        unchecked=tuple(_unchecked(environment, planned_stages)),
    )


def _plan_layers(environment: Environment) -> Iterator[dict[str, object]]:
    request = environment.request
    downloads = {
        pending.stack: pending
        for pending in python_stacks.pending_downloads(request.profile, request.cache_folder)
    }
    for layer in describe_layers(request.profile):
        description = dict(layer)
        if description["layer"] in _MODEL_LAYERS:
            description["model"] = {
                "name": embedding.NAME,
                "from": "the cache" if embedding.is_cached(request.cache_folder) else _PIP_SOURCE,
            }
        stack_list = description.get("stacks")
        if isinstance(stack_list, list):
            description["stacks"] = [
                dict(pending) | _describe_downloads(downloads.get(pending["stack"]))
                for pending in stack_list
            ]
        yield description


def _describe_downloads(pending: python_stacks.PendingDownloads | None) -> dict[str, object]:
    if pending is None:
        return {}
    return {"locked": pending.locked_count, "to_download": pending.missing_count}


def _unchecked(environment: Environment, planned_stages: tuple[PlannedStage, ...]) -> Iterator[str]:
    request, states = environment.request, {stage.state for stage in planned_stages}
    if request.media is not None and environment.media is not None and request.media_sha256 is None:
        yield (
            f"the digest of {request.media.name}: no --media-sha256 was given, so nothing vouches"
            " for it, and what could be taken from an earlier run shows when it is read"
        )
    if (
        request.media is None
        and environment.media is not None
        and environment.media.path is not None
    ):
        yield "whether Debian's archive has newer packages: then the media is made anew"
    if any(s.name == "media" and s.state == "anew" for s in planned_stages):
        yield "whether Debian's archive answers"
    if states & {"cache", "earlier"}:
        yield "the digests of what would be taken: a stage whose result changed is run again"
    if environment.kickstart and not environment.is_validated:
        yield "ksvalidator's opinion of the kickstart: pip install 'hardpan[tools]'"
    if environment.builds_image:
        yield from _unchecked_layer_inputs(environment)
    if request.timestamp_url:
        yield f"whether {request.timestamp_url} answers"


def _unchecked_layer_inputs(environment: Environment) -> Iterator[str]:
    profile = environment.request.profile
    if any(layer in CATALOG_LAYERS for layer in profile.layers):
        yield (
            "whether the repositories answer and have these packages at these versions: 'hardpan"
            f" repo check --profile {profile.name} --repo URL'"
        )
        yield (
            "whether a repository sends dnf on to another host: the guest reaches those of its"
            " address alone"
        )
        yield "vendors' keys: they are got and compared before the machine is touched"
    if "ml_frameworks" in profile.layers:
        yield "whether this machine's pip finds the locked files, and how big they are"
    for waiver in profile.stig.expired_waivers(clock.now().date()):
        yield (
            f"the waiver for {waiver.rule} ended on {waiver.expires}: the scan counts it as a finding"
        )
