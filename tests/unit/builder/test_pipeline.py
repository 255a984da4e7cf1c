"""What the builder's pipeline hands to the machine that the layers are put on."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hardpan.builder import pipeline, sysprep
from hardpan.builder.artifacts import Assessment, DiskImage, InstallMedia, SshAccess
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.builder.vm.probe import Acceleration
from hardpan.builder.vm.qemu import VmSpec
from hardpan.core.events import discard
from hardpan.core.files import MiB, Sha256, sha256_file
from hardpan.profiles.loader.profile_file import load_profile

NVIDIA = (Endpoint("https", "developer.download.nvidia.com", 443),)


class CapturedSpecError(Exception):
    """Contains the arguments of ``booted``."""


@pytest.mark.parametrize(("layers", "endpoints"), [(("cuda",), NVIDIA), (("stig",), ())])
def test_guest_reaches_only_its_layers_repositories(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layers: tuple[str, ...],
    endpoints: tuple[Endpoint, ...],
) -> None:
    def raise_captured_spec(spec: object, *_: object, **__: object) -> NoReturn:
        raise CapturedSpecError(spec)

    monkeypatch.setattr(pipeline, "boot", raise_captured_spec)
    monkeypatch.setattr(pipeline, "copy_disk", lambda *_a, **_b: None)
    monkeypatch.setattr(pipeline, "require_free_space", lambda *_a, **_b: None)
    plan = make_plan(tmp_path, layers)
    base = tmp_path / "base.qcow2"
    base.write_bytes(b"a disk")
    disk = DiskImage(path=base, virtual_size_mib=MiB(1), sha256=sha256_file(base), duration_s=1.0)
    callbacks: dict[str, Any] = {"assess": raise_captured_spec, "open_shell": raise_captured_spec}

    with pytest.raises(CapturedSpecError) as caught:
        pipeline.harden_image(plan, disk, content_sha256=Sha256("0" * 64), **callbacks)

    assert caught.value.args[0].allowed_endpoints == endpoints
    # Neither the installer nor the scan has a way out.
    assert plan.vm_spec(base).allowed_endpoints == ()


OPERATOR_KEY = "ssh-rsa AAAAB3Nz operator@example"


def make_plan(workdir: Path, layers: tuple[str, ...], **updates: object) -> pipeline.BuildPlan:
    placeholder_digest = Sha256("0" * 64)
    profile = load_profile("rocky9-stig-nvidia")
    return pipeline.BuildPlan(
        profile=profile.model_copy(update={"layers": layers, **updates}),
        media=InstallMedia(
            path=workdir / "x.iso",
            sha256=placeholder_digest,
            size_bytes=1,
            volume_id="X",
            name="rocky9",
        ),
        access=SshAccess(user="steward", private_key=workdir / "key", public_key=OPERATOR_KEY),
        acceleration=Acceleration(kind="tcg", reason=""),
        output_folder=workdir,
        cache_folder=workdir,
        emit=discard,
    )


@pytest.mark.parametrize(
    ("build_key", "profile_keys", "removed"),
    [
        ("keep", (), "no key"),
        ("remove", (), "steward"),
        ("remove", ("ssh-rsa AAAAB3Nz ada@example",), "no key"),
        ("remove", ("ssh-rsa AAAAother ada@example",), "steward"),
    ],
)
def test_image_is_a_private_copy_of_the_generalized_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    build_key: str,
    profile_keys: tuple[str, ...],
    removed: str,
) -> None:
    calls: list[tuple[str, ...]] = []

    def record_copy(source: Path, target: Path, *, cluster_bytes: int | None = None) -> None:
        calls.append(("copy", source.suffix, target.suffix, str(cluster_bytes)))
        target.write_bytes(source.read_bytes())
        target.chmod(0o644)

    @contextmanager
    def record_boot(spec: VmSpec, *_: object, **__: object) -> Iterator[None]:
        yield
        calls.append(("off", spec.disk.suffix))
        spec.disk.write_bytes(b"a generalized disk")

    def record_generalize(_shell: object, key: sysprep.BuildKey | None) -> tuple[str, ...]:
        calls.append(("generalize", key.user if key else "no key"))
        return ("bash-0:5.2-1.x86_64",)

    assessment = Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=())
    monkeypatch.setattr(pipeline, "copy_disk", record_copy)
    monkeypatch.setattr(pipeline, "check_disk", lambda disk: calls.append(("check", disk.suffix)))
    monkeypatch.setattr(pipeline, "boot", record_boot)
    monkeypatch.setattr(pipeline, "require_free_space", lambda *_a, **_b: None)
    monkeypatch.setattr(pipeline, "_assess_base", lambda *_: assessment)
    monkeypatch.setattr(pipeline.registry, "apply_layers", lambda *_a, **_b: ())
    monkeypatch.setattr(pipeline.sysprep, "generalize", record_generalize)
    (user,) = load_profile("rocky9-stig").users
    users = (user.model_copy(update={"ssh_keys": profile_keys}),)
    plan = make_plan(tmp_path, ("stig",), build_key=build_key, users=users)
    base = tmp_path / "base.qcow2"
    base.write_bytes(b"a disk")
    disk = DiskImage(path=base, virtual_size_mib=MiB(1), sha256=sha256_file(base), duration_s=1.0)

    image = pipeline.harden_image(
        plan,
        disk,
        content_sha256=Sha256("0" * 64),
        assess=lambda _: assessment,
        open_shell=lambda _: nullcontext(),
    )

    assert calls == [
        ("copy", ".qcow2", ".work", "4096"),
        ("generalize", removed),
        ("off", ".work"),
        ("check", ".work"),
        ("copy", ".work", ".qcow2", "None"),
    ]
    assert image.disk.path.read_bytes() == b"a generalized disk"
    assert image.disk.path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.glob("*.work")] == []
