"""The order of the builder's stages."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from hardpan import clock
from hardpan.builder import install, seal, shell, stacks, steps
from hardpan.builder.layers import packages as repositories
from hardpan.builder.layers import registry
from hardpan.builder.machine.boot import booted
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.qemu import FILE_SYSTEM_BLOCK, Spec, check_disk, copy_disk
from hardpan.builder.media.remaster import remaster
from hardpan.builder.receipts import (
    Access,
    Assessment,
    Disk,
    Guest,
    Iso,
    LayerReceipt,
    Media,
    Remedy,
    RuleOutcome,
    StackReceipt,
)
from hardpan.events import Emit, Note
from hardpan.files import (
    PRIVATE,
    MiB,
    Sha256,
    atomic_path,
    need_free,
    sha256_bytes,
    sha256_file,
)
from hardpan.kickstart import boot_arguments, checked, holds_secret, render
from hardpan.problems import Problems
from hardpan.profiles.model import Profile
from hardpan.profiles.software import eula
from hardpan.resume import Receipt

Assess = Callable[[Guest], Assessment]
"""Scans a booted guest and returns its failing rules with their fixes."""

Shell = Callable[[Guest], AbstractContextManager[seal.Shell]]
"""Opens a root shell on a booted guest."""

COPY_MIB = 8192
"""Free disk that hardening is begun with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a build is made from."""

    profile: Profile
    media: Media
    access: Access
    acceleration: Acceleration
    out: Path
    """Where the outputs land."""

    cache: Path
    """Where base installs and media are kept between builds."""

    emit: Emit
    passphrase: str = ""
    """Opens the LUKS volume, where the profile has one."""

    def spec(self, disk: Path) -> Spec:
        """The machine the profile is built in."""
        machine = self.profile.machine
        return Spec(
            disk=disk,
            vcpus=machine.vcpus,
            memory_mib=machine.memory_mib,
            firmware=machine.firmware,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardened:
    """A hardened, sealed image and how it came to be."""

    disk: Disk
    layers: tuple[LayerReceipt, ...]
    before: dict[str, int]
    """Verdict -> number of rules, before the layers."""

    packages: tuple[str, ...]
    """NEVRAs in the image, sorted."""

    started: str
    finished: str


def unattended_iso(plan: Plan) -> Iso:
    """The media with the profile's kickstart on it, at ``out/PROFILE.iso``."""
    text = kickstart(plan.profile, plan.access.public_key, plan.passphrase)
    arguments = boot_arguments(plan.profile, plan.media.volume_id)
    step = steps.iso(
        plan.profile, plan.out, media_sha256=plan.media.sha256, text=text, arguments=arguments
    )
    (to,) = step.outputs
    secret = holds_secret(text)

    def work(_note: Callable[[str], None]) -> Receipt:
        made = remaster(plan.media, text, to, arguments=arguments, secret=secret, emit=plan.emit)
        return {"sha256": made.sha256}

    receipt = step.once(plan.emit, work)
    return Iso(
        path=to,
        sha256=Sha256(str(receipt["sha256"])),
        volume_id=plan.media.volume_id,
        kickstart_sha256=sha256_bytes(text.encode()),
        media_sha256=plan.media.sha256,
        secret=secret,
    )


def kickstart(profile: Profile, public_key: str, passphrase: str) -> str:
    """The kickstart's text, linted.

    Raises:
        InputError: it cannot be rendered, or the linter or bash has something against it.
    """
    text = render(profile, public_key, passphrase=passphrase)
    checked(text, profile.release, shell_check=shell.problem)
    return text


def check(profile: Profile, *, image: bool) -> None:
    """Pass if the profile can be built, as far as can be told before anything runs.

    Raises:
        InputError: a licence is not accepted, or for an image a layer is not built yet, its guest
            cannot reach a repository, or a stack has no lock.
    """
    problems(profile, image=image).raise_all()


def problems(profile: Profile, *, image: bool) -> Problems:
    """What of the profile itself stands in the way of a build, each of it told."""
    found = Problems()
    with found.of("licences"):
        eula.check(profile)
    if image:
        with found.of("layers"):
            registry.check(profile)
        with found.of("layers"):
            repositories.check_reach(profile)
        with found.of("stacks"):
            stacks.check_locks(profile)
    return found


def base_install(plan: Plan, iso: Iso) -> Disk:
    """The system as the installer leaves it, shared through the cache."""
    size = MiB(plan.profile.disk_size_mib)
    step = steps.install(plan.profile, plan.cache, iso_sha256=iso.sha256)
    (disk,) = step.outputs

    def work(_note: Callable[[str], None]) -> Receipt:
        made = install.install(
            iso,
            plan.spec(disk),
            size_mib=size,
            acceleration=plan.acceleration,
            log=plan.out / "install.log",
            emit=plan.emit,
        )
        return {"sha256": made.sha256, "took_s": f"{made.took_s:.1f}"}

    receipt = step.once(plan.emit, work)
    return Disk(
        path=disk,
        virtual_size_mib=size,
        sha256=Sha256(str(receipt["sha256"])),
        took_s=float(str(receipt["took_s"])),
    )


def harden(
    plan: Plan, base: Disk, *, content_sha256: Sha256, assess: Assess, open_shell: Shell
) -> Hardened:
    """The base with the profile's layers, sealed, at ``out/PROFILE.qcow2``."""
    registry.check(plan.profile)
    repositories.check_reach(plan.profile)
    step = steps.harden(
        plan.profile, plan.out, base_sha256=base.sha256, content_sha256=content_sha256
    )
    (to,) = step.outputs

    def work(note: Callable[[str], None]) -> Receipt:
        return _harden(plan, base, to, content_sha256, assess, open_shell, note)

    return _hardened(step.once(plan.emit, work), to, base.virtual_size_mib)


def _harden(
    plan: Plan,
    base: Disk,
    to: Path,
    content_sha256: Sha256,
    assess: Assess,
    open_shell: Shell,
    note: Callable[[str], None],
) -> Receipt:
    need_free(to.parent, COPY_MIB, what="the image")
    began, started = clock.monotonic(), clock.rfc3339(clock.now())
    with atomic_path(to, mode=PRIVATE) as temp:
        note("copying the base install")
        # Every block that the guest frees and trims leaves this copy; what is left is the image.
        work = temp.with_suffix(".work")
        copy_disk(base.path, work, cluster_bytes=FILE_SYSTEM_BLOCK)
        log = plan.out / "harden.log"
        spec = replace(plan.spec(work), reaches=repositories.reached(plan.profile))
        machine = booted(
            spec, plan.access, plan.acceleration, log=log, emit=plan.emit, overlay=False
        )
        with machine as guest:
            assessment = _assessed(plan, guest, base, content_sha256, assess)
            made = registry.apply(plan.profile, guest, assessment, cache=plan.cache, emit=plan.emit)
            note("sealing: identity, secrets and logs are removed, free blocks discarded")
            with open_shell(guest) as root:
                packages = seal.seal(root)
        check_disk(work)
        note("writing the image without free blocks")
        copy_disk(work, temp)
    return {
        "sha256": sha256_file(to),
        "took_s": f"{clock.monotonic() - began:.1f}",
        "before": assessment.counts,
        "layers": [dataclasses.asdict(x) | {"took_s": f"{x.took_s:.1f}"} for x in made],
        "packages": list(packages),
        "started": started,
        "finished": clock.rfc3339(clock.now()),
    }


def _assessed(
    plan: Plan, guest: Guest, base: Disk, content_sha256: Sha256, assess: Assess
) -> Assessment:
    def work(_note: Callable[[str], None]) -> Receipt:
        made = assess(guest)
        return {
            "counts": made.counts,
            "remedies": [dataclasses.asdict(r) for r in made.remedies],
        }

    step = steps.assess(
        plan.profile, plan.cache, base_sha256=base.sha256, content_sha256=content_sha256
    )
    receipt = step.once(plan.emit, work)
    remedies = receipt["remedies"]
    counts = receipt["counts"]
    assert isinstance(remedies, list)  # noqa: S101 - written by ``work`` above
    assert isinstance(counts, dict)  # noqa: S101
    plan.emit(Note(stage="harden", text=f"{len(remedies)} rules fail before hardening"))
    return Assessment(
        content_sha256=content_sha256,
        counts={str(k): int(v) for k, v in counts.items()},
        remedies=tuple(Remedy(**r) for r in remedies),
    )


def _hardened(receipt: Receipt, disk: Path, size: MiB) -> Hardened:
    told = receipt["layers"]
    packages = receipt["packages"]
    before = receipt["before"]
    assert isinstance(told, list)  # noqa: S101 - written by ``_harden``
    assert isinstance(packages, list)  # noqa: S101
    assert isinstance(before, dict)  # noqa: S101
    return Hardened(
        disk=Disk(
            path=disk,
            virtual_size_mib=size,
            sha256=Sha256(str(receipt["sha256"])),
            took_s=float(str(receipt["took_s"])),
        ),
        layers=tuple(_layer(x) for x in told),
        before={str(k): int(v) for k, v in before.items()},
        packages=tuple(map(str, packages)),
        started=str(receipt["started"]),
        finished=str(receipt["finished"]),
    )


def _layer(told: dict[str, object]) -> LayerReceipt:
    outcomes, built = told["outcomes"], told.get("stacks", ())
    assert isinstance(outcomes, list | tuple)  # noqa: S101
    assert isinstance(built, list | tuple)  # noqa: S101
    return LayerReceipt(
        layer=str(told["layer"]),
        changed=int(str(told["changed"])),
        took_s=float(str(told["took_s"])),
        outcomes=tuple(RuleOutcome(**o) for o in outcomes),
        stacks=tuple(StackReceipt.of(x) for x in built),
    )
