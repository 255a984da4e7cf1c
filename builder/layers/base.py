"""A hardening layer as one object, and the task that applies it to a guest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan.builder.artifacts import Assessment, BootedGuest, LayerResult, StackResult
from hardpan.core.events import Emit
from hardpan.core.files import Sha256
from hardpan.profiles.schema.layer_packages import OS_PACKAGES
from hardpan.profiles.schema.profile import LayerName, Profile

STAGE = "harden"

PLACEHOLDER_PATH = Path("placeholder")
PLACEHOLDER_DIGEST = Sha256("0" * 64)
PLACEHOLDER_FILES: Mapping[str, bytes | Path] = {"opt/ai/placeholder": b""}
"""Values of the right type for what only a build knows: archives, digests, keys."""


def _no_details(_profile: Profile) -> str:
    return ""


def _no_obstacle(_profile: Profile) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPreparation:
    """Where the files of one layer are collected, before any machine is involved."""

    layer: str
    profile: Profile
    assessment: Assessment
    cache: Path
    """Folder of downloads and build results that later builds reuse."""

    folder: Path
    """Empty folder for the files, with space for gigabytes."""

    emit: Emit
    runtime_folder: str = ""
    """Path of ``folder`` where Ansible runs; empty if that is this machine."""

    def runtime_path(self, name: str) -> Path:
        """Return the path of a file in ``folder`` for the role's variables."""
        return Path(self.runtime_folder or self.folder, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedLayer:
    """What a layer needs; its files are in the folder of the preparation."""

    variables: Mapping[str, object]
    """Variables of the role."""

    stacks: tuple[StackResult, ...] = ()
    """What is in the packages of ``ml_frameworks``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTask:
    """One layer on one guest."""

    layer: str
    profile: Profile
    guest: BootedGuest
    assessment: Assessment
    cache: Path
    """Folder of downloads and build results that later builds reuse."""

    workdir: Path
    """Private folder of this run, removed afterwards."""

    emit: Emit

    def run(self, variables: Mapping[str, object]) -> LayerResult:
        """Run the layer's role with these variables.

        Raises:
            ToolError: a task failed; the error has its name and output.
            UnreachableError: the guest stopped answering.
            TrustError: the guest presents an unexpected host key.
        """
        # Here, so that rendering and dry runs work without Ansible.
        from hardpan.builder.ansible.runner import RoleRun, run_role

        role_run = RoleRun(
            layer=self.layer, workdir=self.workdir, guest=self.guest, variables=variables
        )
        changed_tasks, duration_s = run_role(role_run, self.emit)
        return LayerResult(layer=self.layer, changed_tasks=changed_tasks, duration_s=duration_s)


def run_prepared(task: LayerTask, prepared: PreparedLayer) -> LayerResult:
    """Run the layer's role with its prepared variables."""
    return replace(task.run(prepared.variables), stacks=prepared.stacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A hardening layer: the Ansible role of the same name and what the builder does for it."""

    name: LayerName

    summary: str
    """What the layer does, in one clause, for ``render`` and dry runs."""

    prepare: Callable[[LayerPreparation], PreparedLayer]
    """Collects the role's files and variables; needs no guest."""

    planned_variables: Callable[[Profile], Mapping[str, object]]
    """The role's variables before a build, with placeholders for what only a build knows."""

    run: Callable[[LayerTask, PreparedLayer], LayerResult] = run_prepared
    """Runs the role with what was prepared."""

    offline_obstacle: Callable[[Profile], str] = _no_obstacle
    """Why the layer cannot run on a machine without a network; empty if it can."""

    section: str | None = None
    """Key of the layer's section in the profile; None if the layer has no settings."""

    reads: tuple[str, ...] = ()
    """Keys of other layers' sections that it reads; all others have their defaults for it."""

    uses_assessment: bool = False
    """Whether it depends on the scan before hardening."""

    details: Callable[[Profile], str] = _no_details
    """What the profile selects in the layer; empty if there is nothing to add."""

    @property
    def os_packages(self) -> tuple[str, ...]:
        """Distribution packages of the layer, which the installer installs."""
        return OS_PACKAGES.get(self.name, ())

    def describe(self, profile: Profile) -> str:
        """Return the summary, followed by what ``profile`` selects."""
        details = self.details(profile)
        return f"{self.summary}: {details}" if details else self.summary
