"""The content of a scan, chosen and prepared when the target's system is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hardpan.core.events import Emit, StageMessage
from hardpan.scanners.collect.base import SCE_PLUGIN
from hardpan.scanners.collect.collection import HostIdentity
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.collect.sent_secrets import refuse_common_password
from hardpan.scanners.content import datastream
from hardpan.scanners.content.datastream import ContentSelection, ContentSource
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.content.products import OsRelease
from hardpan.scanners.content.script_checks import CheckEngine
from hardpan.scanners.content.selection import choose_content
from hardpan.scanners.deviations.tailoring import find_base_profile, prepare_content
from hardpan.scanners.deviations.tailoring_file import TailoringFile
from hardpan.scanners.evidence.file_names import list_tailoring_files

_MAX_WARNINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentProvider:
    """How the content is chosen; ``provide`` is the ``provide_content`` of a scan request."""

    plan: ScanPlan
    content: ContentSelection | ContentSource | None = None
    """The data stream, or where it is found; None: chosen for the plan's product or the host."""

    benchmark: str = ""
    """Id of the benchmark, if the content has several."""

    tailoring: TailoringFile | None = None
    jobs: int | None = None
    """Number of oscap processes on the target; None: chosen by its processors and memory."""

    engine: CheckEngine = CheckEngine.OVAL
    """What evaluates the rules that search all file systems; OVAL if the target has no plugin for
    script checks.
    """

    passwords: Mapping[str, str] = field(default_factory=dict)
    """``sudo`` or ``SSH`` -> password. Content whose text contains one is refused, because it is
    redacted in all results.
    """

    def require_readable(self) -> None:
        """Read the content file that the user named, so that a wrong one needs no connection.

        Raises:
            InputError: it is no data stream.
        """
        if isinstance(self.content, Path):
            datastream.load_collection(self.content)

    def provide(self, identity: HostIdentity, emit: Emit) -> PreparedContent:
        """Return the content for the host, prepared for the profile.

        Raises:
            InputError: there is none, or its text contains a password.
        """
        source, profile_id, reason, explanation = self._choose(identity)
        for text in explanation:
            emit(StageMessage(stage="content", text=text))
        engine = self.engine
        if engine is CheckEngine.SCE and identity.missing_for_scripts:
            engine = CheckEngine.OVAL
            text = _describe_missing(identity.missing_for_scripts, identity.release)
            emit(StageMessage(stage="content", text=f"warning: {text}"))
            reason = f"{reason}; {text}"
        emit(StageMessage(stage="content", text="reducing it to the profile"))
        content = prepare_content(
            source,
            profile_id,
            self.tailoring,
            self.plan.xccdf_profile,
            part_count=self.jobs or identity.job_count,
            file_count=identity.file_count,
            engine=engine,
        )
        for text in _list_warnings(content):
            emit(StageMessage(stage="content", text=f"warning: {text}"))
        content = replace(content, content=replace(content.content, choice=reason))
        texts = [part.data for part in (*content.parts, content.untouched)]
        texts += list_tailoring_files(content.content.tailoring).values()
        for name, password in self.passwords.items():
            refuse_common_password(name, password, texts)
        return content

    def _choose(self, identity: HostIdentity) -> tuple[ContentSource, str, str, tuple[str, ...]]:
        """Return data stream, XCCDF profile, the reason for both, and sentences that explain it."""
        plan, content, profile = self.plan, self.content, self._find_base_profile()
        if isinstance(content, ContentSource):
            reason = f"content of the build; profile of the hardpan profile {plan.name}"
            return content, profile, reason, (str(content),)
        if plan.product is not None:
            source = datastream.find(plan.product, content, benchmark_id=self.benchmark)
            reason = f"content and profile of the hardpan profile {plan.name}"
            if content is not None:
                reason = f"content as requested; profile of the hardpan profile {plan.name}"
            return source, profile, reason, (str(source),)
        choice = choose_content(
            identity.release,
            content,
            profile=profile or None,
            benchmark=self.benchmark or None,
        )
        return choice.source, choice.profile_id, choice.reason, choice.explanation

    def _find_base_profile(self) -> str:
        """Return the benchmark's profile that the tailoring or the plan names; empty: the default.

        Raises:
            InputError: the tailoring has no such profile, or is for another one.
        """
        requested = self.plan.xccdf_profile
        return requested if self.tailoring is None else find_base_profile(self.tailoring, requested)


def _list_warnings(content: PreparedContent) -> Iterator[str]:
    """Yield what OpenSCAP ignores in the tailoring, which the evidence lists completely."""
    tailoring = content.content.tailoring
    notes = () if tailoring is None else tailoring.notes
    yield from (f"tailoring: {note}" for note in notes[:_MAX_WARNINGS])
    if len(notes) > _MAX_WARNINGS:
        yield (
            f"tailoring: ignored {len(notes) - _MAX_WARNINGS} more: "
            "'hardpan check --tailoring FILE' lists them"
        )


def _describe_missing(missing: Sequence[str], release: OsRelease) -> str:
    """Say what the target lacks for script checks, and how to install it."""
    ids = {release.os_id, *release.id_like}
    package = "openscap-engine-sce"
    if ids & {"debian", "ubuntu"}:
        package, command = "openscap-scanner", "apt install"
    elif ids & {"suse", "opensuse", "sles", "sle"}:
        command = "zypper install"
    elif ids & {"rhel", "fedora", "centos", "rocky", "almalinux", "ol"}:
        command = "dnf install"
    else:
        command = "install"
    remedy = f"run on the target: {command} {package}"
    if SCE_PLUGIN not in missing:
        remedy = "install the package that has it"
    return f"engine OVAL, not SCE: the target lacks {', '.join(missing)}; {remedy}"
