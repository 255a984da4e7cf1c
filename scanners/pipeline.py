"""The order of the scanner's stages: connect, collect, evaluate.

What a target answers is hostile. A part that fails is recorded as an ``error`` with its reason, and
the others keep what they found; only who the host is, and a scan by oscap at all, must succeed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hardpan import clock, events
from hardpan.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.events import Emit
from hardpan.files import canonical_json, sha256_bytes
from hardpan.profiles.model import Profile
from hardpan.redaction import SecretFilter
from hardpan.scanners.arf import UnreadableArf
from hardpan.scanners.collect import paired as pairs
from hardpan.scanners.collect import serving as chat
from hardpan.scanners.collect import smoke as trial
from hardpan.scanners.collect.base import Evidence, Expected, Task, collector, not_collected
from hardpan.scanners.collect.hostproof import signed_by_host
from hardpan.scanners.collect.layers import with_layers
from hardpan.scanners.collect.serving import Server, joined, serving
from hardpan.scanners.collect.smoke import Load, smoke
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.content.prepare import Prepared, prepare
from hardpan.scanners.content.prepare import remedies as fixes_of
from hardpan.scanners.content.remedies import Fix
from hardpan.scanners.evaluate import evaluation
from hardpan.scanners.evidence.bindings import HOST_PROOF, NAMESPACE, challenge
from hardpan.scanners.fips.judge import judge
from hardpan.scanners.fips.model import Facts
from hardpan.scanners.fips.table import table
from hardpan.scanners.model import Evaluation, Host, ImageRef, Scan, Verdict, Waiver
from hardpan.scanners.report.fill import findings
from hardpan.scanners.target import Target
from hardpan.scanners.transport import Transport, connect
from hardpan.scanners.trials import Check, Smoke
from hardpan.signing import check_sshsig

T = TypeVar("T")
_CONNECT_S = 180.0
_OSCAP_S = 3600.0
_CHECKS_S = 1200.0
_FACTS_S = 300.0
_FIPS_S = 600.0
_SMOKE_S = 1200.0
_PAIRED_S = 900.0
_PROOF_S = 60.0
_VLLM_ON = {"nvidia": "cuda", "amd": "rocm"}
"""Accelerator -> what vLLM computes on there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One scan that is asked for."""

    target: Target
    profile: Profile
    source: Source
    """The data stream as upstream made it."""

    smoke: bool = True
    paired: bool = False
    """True runs the paired checks whatever the profile's layers are."""

    sudo_password: str = ""
    before: Mapping[str, int] | None = None
    """Counts before hardening, where the same run built the image."""

    image: ImageRef | None = None
    invocation: tuple[str, ...] = ()
    nonce: str = ""
    """The auditor's challenge, for the host to sign."""


def assess(
    target: Target, profile: Profile, source: Source, emit: Emit
) -> tuple[Evaluation, tuple[Fix, ...]]:
    """What fails on a target, and the content's own fixes for it.

    Raises:
        ToolError, TrustError, UnreachableError, InputError: as the stages do.
    """
    prepared = prepare(source, profile.stig.profile_id)
    with connect(target, timeout_s=_CONNECT_S) as via:
        host = _host(via, emit).host
        assert host is not None  # noqa: S101 - the collector's one job
        made, found = _evaluated(via, prepared, host, emit)
    for arf in found.arfs:
        if isinstance(arf, UnreadableArf):
            raise ToolError(["oscap"], f"gave no verdicts to repair by: {arf.reason}")
    failing = [r.rule_id for r in made.results if r.verdict in (Verdict.FAIL, Verdict.ERROR)]
    return made, fixes_of(source, profile.stig.profile_id, failing)


def scan(request: Request, emit: Emit) -> Scan:
    """Everything that one run collects from a target, judged and ready to be signed.

    Raises:
        ToolError: the host does not say who it is, or oscap does not run there.
        TrustError, UnreachableError: the connection.
        InputError: the content does not apply to the target, or its text contains the sudo
            password.
    """
    prepared = prepare(request.source, request.profile.stig.profile_id)
    _refuse_common_password(request.sudo_password, prepared)
    secrets = SecretFilter([request.sudo_password])
    attempts = _Attempts()
    started = clock.rfc3339(clock.now())
    task = Task(prepared=prepared, expected=expected(request.profile))
    with connect(request.target, timeout_s=_CONNECT_S, sudo_password=request.sudo_password) as via:
        identity = _host(via, emit)
        host = identity.host
        assert host is not None  # noqa: S101 - the collector's one job
        made, found = _evaluated(via, prepared, host, emit)
        with events.stage(emit, "checks"):
            facts = attempts.collect("hostfacts", via, task, _CHECKS_S, emit)
            packages = attempts.collect("packages", via, task, _FACTS_S, emit)
            fips = attempts.collect("fips", via, task, _FIPS_S, emit)
        both = None
        if pairs.wanted(request.profile, asked=request.paired):
            with events.stage(emit, "paired checks"):
                both = attempts.make(
                    "paired", lambda: pairs.paired(via, timeout_s=_PAIRED_S), pairs.failed
                )
        figures = None
        if request.smoke:
            with events.stage(emit, "smoke"):
                figures = _attempted_workload(via, request.profile, attempts)
        # The host was asked for its packages together with its name.
        installed = packages.packages or identity.packages
        read = None if "packages" in attempts.failed else installed
        done = Scan(
            profile=request.profile.name,
            host=host,
            evaluation=made,
            before=None if request.before is None else dict(request.before),
            checks=(*facts.checks, *fips.checks, *found.checks, *attempts.failed.values()),
            smoke=figures,
            paired=both,
            packages=installed,
            raw={**found.files, **facts.files, **packages.files},
            waivers=waivers(request.profile, (r.rule_id for r in made.results)),
            image=request.image,
            fips=judge(replace(fips.fips or Facts(), packages=read), table(), clock.now().date()),
            started=started,
            finished=clock.rfc3339(clock.now()),
            invocation=request.invocation,
        )
        done = without_secrets(done, secrets)
        with events.stage(emit, "host proof") as note:
            return _proven(done, via, request.nonce, note)


@dataclass(frozen=True, slots=True)
class _Attempts:
    """Parts of a scan that may fail without taking the others with them."""

    failed: dict[str, Check] = field(default_factory=dict)
    """Part -> why it failed, as the evidence has it."""

    def make(self, part: str, ask: Callable[[], T], otherwise: Callable[[str], T]) -> T:
        """What ``ask`` returns; where the target fails at it, what ``otherwise`` makes of why."""
        try:
            return ask()
        except ResourceError:
            raise  # this machine's fault
        except ToolError as e:
            self.failed[part] = not_collected(part, str(e))
            return otherwise(self.failed[part].message)

    def collect(
        self, name: str, via: Transport, task: Task, timeout_s: float, emit: Emit
    ) -> Evidence:
        """What the collector ``name`` brings; nothing where it fails."""
        return self.make(
            name,
            lambda: collector(name).collect(via, task, timeout_s=timeout_s, emit=emit),
            lambda _: Evidence(),
        )


def without_secrets(done: Scan, secrets: SecretFilter) -> Scan:
    """``done`` without the secrets that the target was given and may have sent back.

    They were taken out of every answer as it came. This finds one that appeared when a text was
    made printable. Attached ARFs were cleaned before they were packed.
    """
    return replace(
        done,
        host=secrets.value(done.host),
        evaluation=secrets.value(done.evaluation),
        checks=secrets.value(done.checks),
        smoke=secrets.value(done.smoke),
        paired=secrets.value(done.paired),
        packages=secrets.value(done.packages),
        fips=secrets.value(done.fips),
        raw={n: secrets.data(d) if isinstance(d, bytes) else d for n, d in done.raw.items()},
    )


def _refuse_common_password(password: str, prepared: Prepared) -> None:
    data = password.encode("utf-8", "surrogateescape")
    if data and any(data in part.data for part in prepared.parts):
        raise InputError(
            "the sudo password: cannot be used for a scan: expected one that is no part of the "
            "SCAP content's text, because it is taken out of all results",
            hint="choose a longer password, or a user who may run sudo without one",
        )


def _proven(done: Scan, via: Transport, nonce: str, note: Callable[[str], None]) -> Scan:
    """``done`` with the host's own signature over its findings, where the host gives one."""
    said = challenge(nonce, done.host.boot_id, sha256_bytes(canonical_json(findings(done).data())))
    proof = signed_by_host(via, said, namespace=NAMESPACE, timeout_s=_PROOF_S)
    if not proof:
        note("the host gives no signature by its host key; the evidence goes without")
        return done
    try:
        check_sshsig(proof, said, namespace=NAMESPACE, fingerprint=done.host.host_key_sha256)
    except TrustError as e:
        note(f"the host's signature is left out: {e}")
        return done
    return replace(done, raw={**done.raw, HOST_PROOF: proof})


def workload(via: Transport, profile: Profile) -> Smoke:
    """The AI workload test, and the chat test where the profile has a server to chat with.

    Raises:
        ToolError: one cannot run on the target, or answers nonsense.
        UnreachableError: the connection broke.
    """
    made = smoke(via, load_of(profile), timeout_s=_SMOKE_S)
    server = server_of(profile)
    return joined(made, serving(via, server, timeout_s=_SMOKE_S)) if server else made


def _attempted_workload(via: Transport, profile: Profile, attempts: _Attempts) -> Smoke:
    """The same, where each test may fail."""
    made = attempts.make(
        "smoke", lambda: smoke(via, load_of(profile), timeout_s=_SMOKE_S), trial.failed
    )
    server = server_of(profile)
    if server is None:
        return made
    answered = attempts.make(
        "chat",
        lambda: serving(via, server, timeout_s=_SMOKE_S),
        lambda reason: chat.failed(server, reason),
    )
    return joined(made, answered)


def server_of(profile: Profile) -> Server | None:
    """Where the profile's inference server is; None without the layer ``sovereign_stack``."""
    section = profile.sovereign
    if section is None or "sovereign_stack" not in profile.layers:
        return None
    site = section.certificate
    on_gpu = section.server.engine == "vllm"
    return Server(
        engine=section.server.engine,
        backend=_VLLM_ON[profile.hardware.accelerator] if on_gpu else "cpu",
        model=section.server.model,
        model_file=section.server.weights,
        cafile=site.certificate_file if site else "/etc/pki/hardpan/tls.crt",
        host=section.host_name if site else "localhost",
    )


def load_of(profile: Profile) -> Load:
    """How hard the profile wants the smoke test to work."""
    asked = profile.smoke
    return Load(
        matrix_size=asked.matrix_size,
        matrix_rounds=asked.matrix_rounds,
        batch=asked.batch,
        batch_rounds=asked.batch_rounds,
        python=profile.ai_python or "/usr/bin/python3",
    )


def waivers(profile: Profile, rule_ids: Iterable[str]) -> dict[str, Waiver]:
    """Rule id -> its waiver, for the rules that have one; one that ended says so."""
    today = clock.now().date()
    found = {rule_id: profile.stig.waiver(rule_id, today) for rule_id in rule_ids}
    return {
        rule_id: Waiver(
            reason=w.reason,
            owner=w.owner,
            expires=w.expires.isoformat(),
            holds=w.expires >= today,
        )
        for rule_id, w in found.items()
        if w is not None
    }


def expected(profile: Profile) -> Expected:
    """What the profile says about a running system."""
    user = next(u for u in profile.users if u.name == profile.build_user)
    mounts = {p.mount: p.options for p in profile.storage.partitions if p.mount.startswith("/")}
    made = Expected(
        mounts={
            **{m: tuple(o for o in options if "=" not in o) for m, options in mounts.items()},
            "/dev/shm": ("nodev", "nosuid", "noexec"),  # noqa: S108
        },
        kernel_arguments=profile.kernel_arguments,
        fips=profile.fips,
        boot_superuser=profile.boot.superuser,
        build_user=profile.build_user,
        sudo_nopasswd=user.sudo == "nopasswd",
        enabled=profile.services.enabled,
        disabled=profile.services.disabled,
        packages=tuple(p for p in profile.install if not p.startswith("@")),
        absent_packages=profile.packages.remove,
        time_servers=profile.system.ntp_servers,
        ai_python=profile.ai_python,
    )
    return with_layers(made, profile)


def _host(via: Transport, emit: Emit) -> Evidence:
    return collector("host").collect(via, Task(), timeout_s=_FACTS_S, emit=emit)


def _evaluated(
    via: Transport, prepared: Prepared, host: Host, emit: Emit
) -> tuple[Evaluation, Evidence]:
    task = Task(prepared=prepared)
    with events.stage(emit, "openscap"):
        found = collector("openscap").collect(via, task, timeout_s=_OSCAP_S, emit=emit)
    made = evaluation(
        prepared,
        found.arfs,
        engine=found.engine,
        os_name=host.os_name,
        os_cpe=host.cpe,
        time=clock.rfc3339(clock.now()),
    )
    return made, found
