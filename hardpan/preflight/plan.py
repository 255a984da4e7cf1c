"""Plan a run: what it would do and whether it can start. Builds and dry runs start here."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.builder import python_stacks
from hardpan.builder.ai_models import embedding
from hardpan.builder.build_manifest import describe_layers
from hardpan.builder.media.sources import MediaCandidate
from hardpan.builder.stages import LAYER_PREFIX
from hardpan.core import clock
from hardpan.core.error_collector import CollectedError
from hardpan.core.errors import Exit, raise_if_any
from hardpan.core.events import Emit, StageMessage
from hardpan.preflight import checks
from hardpan.preflight.checks import Environment
from hardpan.preflight.stage_plan import VERIFY_STAGE, PlannedStage, StageState, plan_stages
from hardpan.profiles import embedding_model
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS
from hardpan.workflow.request import BuildRequest

_PIP_SOURCE = "this machine's pip index, checked by digest"
_MODEL_LAYERS = ("ml_cpu", "ml_frameworks")
_DEFAULT_HINTS = {
    "content": "name a data stream with --content, or omit the option",
    "encryption": "set storage.encryption.unlock to tpm2 or tang, or build with --format iso",
    "disk": "free some space, or choose other folders with -o and --cache",
    "folders": "choose another folder with -o or --cache",
    "image formats": "name other formats with --format",
    "kickstart": "'hardpan render' writes the kickstart for inspection; fix the profile",
    "layers": "'hardpan render' shows what each layer does; fix the profile",
    "licences": "read the licences and accept them in your own profile",
    "lock": "use the media and content of the lock, or build without --locked",
    "machine": "'hardpan doctor' shows what this machine can do",
    "media": "name the complete, unmodified install ISO with --media",
    "signing keys": "'hardpan keys new FOLDER' creates keys for --keys",
    "scan": "set 'build_key: keep', or build without 'prove' and scan as a user of the profile",
    "ssh key": "create one: ssh-keygen -t ecdsa -b 256",
    "stacks": "'hardpan render' shows the stacks; fix the profile or the lock",
    "timestamp": "omit --timestamp, or name the URL of an RFC 3161 authority",
    "tools": "'hardpan doctor' lists what is missing and how to install it",
}
"""Area -> hint for an error that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run would do, and what prevents it."""

    environment: Environment
    stages: tuple[PlannedStage, ...]
    layers: tuple[dict[str, object], ...]
    """As 'hardpan render' writes them, with what the cache holds of each."""

    errors: tuple[CollectedError, ...]
    """Everything that prevents the run, in the order in which the run would fail."""

    unchecked: tuple[str, ...]
    """What can be checked only by the run itself."""

    @property
    def exit_code(self) -> Exit:
        """The exit code of the run before its first stage; 0 if it can start."""
        return self.errors[0].error.exit_code if self.errors else Exit.OK

    def require_startable(self) -> None:
        """Check that the run can start.

        Raises:
            HardpanError: everything that prevents it.
        """
        raise_if_any([collected.error for collected in self.errors])


def make_plan(
    request: BuildRequest,
    emit: Emit,
    *,
    builds_image: bool = True,
    with_scan: bool = False,
    check_media_digest: bool = False,
    may_skip_checks: bool = False,
) -> RunPlan:
    """Check everything that the run needs and plan its stages.

    ``check_media_digest`` also reads the whole ISO, which takes minutes. ``may_skip_checks`` leaves
    out what the first run has checked if every stage's result is stored: nothing will start.
    """
    emit(StageMessage(stage="preflight", text="checking everything that the run needs"))
    environment, errors = checks.run_checks(
        request, builds_image=builds_image, only_inputs=may_skip_checks
    )
    planned_stages = plan_stages(environment, with_scan=with_scan)
    if may_skip_checks and (errors.collected or not _are_stored(planned_stages)):
        environment, errors = checks.run_checks(request, builds_image=builds_image)
        planned_stages = plan_stages(environment, with_scan=with_scan)
    if with_scan:
        checks.check_scan_login(request.profile, errors)
    # Stored layers were built by these very roles, which take Ansible seconds to read.
    if any(stage.may_run and stage.name.startswith(LAYER_PREFIX) for stage in planned_stages):
        checks.check_roles(request.profile, errors)
    requirements = [
        (stage.required_in, stage.required_mib, f"stage {stage.name}")
        for stage in planned_stages
        if stage.state is StageState.BUILD and stage.required_in is not None
    ]
    checks.check_disk_space(requirements, errors)
    if check_media_digest:
        checks.verify_media_digest(environment, errors, emit)
    for collected in errors.collected:
        collected.error.hint = collected.error.hint or _DEFAULT_HINTS[collected.area]
    return RunPlan(
        environment=environment,
        stages=planned_stages,
        layers=tuple(_plan_layers(environment)) if builds_image or request.offline else (),
        errors=tuple(errors.collected),
        unchecked=tuple(_unchecked(environment, planned_stages)),
    )


def _are_stored(planned_stages: tuple[PlannedStage, ...]) -> bool:
    """Whether every result is stored; the evidence is verified in any case."""
    return not any(stage.may_run for stage in planned_stages if stage.name != VERIFY_STAGE)


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
                "name": embedding_model.NAME,
                "source": "the cache" if embedding.is_cached(request.cache_folder) else _PIP_SOURCE,
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
    return {"locked_files": pending.locked_count, "files_to_download": pending.missing_count}


def _unchecked(environment: Environment, planned_stages: tuple[PlannedStage, ...]) -> Iterator[str]:
    request, states = environment.request, {stage.state for stage in planned_stages}
    if request.media is not None and environment.media is not None:
        yield from _unchecked_digest(request, environment.media)
    if (
        request.media is None
        and environment.media is not None
        and environment.media.path is not None
    ):
        yield "whether Debian's archive has newer packages: the media is rebuilt in that case"
    if any(s.name == "media" and s.state is StageState.BUILD for s in planned_stages):
        yield "whether Debian's archive is reachable"
    if states & {StageState.CACHED, StageState.REUSE}:
        yield "the digests of reused results: a stage whose result has changed is run again"
    if environment.kickstart and not environment.is_validated:
        yield "the kickstart with ksvalidator: pip install 'hardpan[tools]'"
    if request.lock is not None:
        yield "the lock's wheels, models and other packages: the build ends if they differ"
    if environment.builds_image:
        yield from _unchecked_layer_inputs(environment)
    if request.timestamp_url:
        yield f"whether {request.timestamp_url} is reachable"


def _unchecked_digest(request: BuildRequest, media: MediaCandidate) -> Iterator[str]:
    assert request.media is not None  # noqa: S101 - checked by the caller
    if request.media_digest.has_statement or media.sha256 is not None:
        return
    name = request.media.name
    reuse = "which stages are reused is known only after reading it"
    if media.expected:
        yield f"the digest of {name}: the build compares it with the published one; {reuse}"
    else:
        yield (
            f"the digest of {name}: without --media-sha256 or --checksum only an ISO whose digest"
            f" hardpan knows is verified; {reuse}"
        )


def _unchecked_layer_inputs(environment: Environment) -> Iterator[str]:
    profile = environment.request.profile
    if any(layer in CATALOG_LAYERS for layer in profile.layers):
        yield (
            "whether the repositories are reachable and have these packages at these versions: run"
            f" 'hardpan repo check --profile {profile.name} --repo URL'"
        )
        yield (
            "whether a repository redirects dnf to another host: the guest reaches only the listed"
            " hosts"
        )
        yield "the vendors' signing keys: downloaded and compared before the guest is changed"
    if "ml_frameworks" in profile.layers:
        yield "whether this machine's pip finds the locked files, and their sizes"
    for waiver in profile.stig.expired_waivers(clock.now().date()):
        yield (
            f"the waiver for {waiver.label} expired on {waiver.expires}: the scan reports the rule"
            " as a finding"
        )
