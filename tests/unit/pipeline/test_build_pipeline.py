"""What the builder's pipeline hands to the machine that the layers are put on."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hardpan.builder import pipeline
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.qemu import Spec
from hardpan.builder.machine.tunnel import Endpoint
from hardpan.builder.receipts import Access, Assessment, Disk, Media
from hardpan.events import silent
from hardpan.files import MiB, Sha256, sha256_file
from hardpan.profiles.load import load

NVIDIA = (Endpoint("https", "developer.download.nvidia.com", 443),)


class SeenError(Exception):
    """Carries what ``booted`` was given."""


@pytest.mark.parametrize(("layers", "reaches"), [(("cuda",), NVIDIA), (("stig",), ())])
def test_the_guest_reaches_its_layers_repositories_while_it_is_hardened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layers: tuple[str, ...],
    reaches: tuple[Endpoint, ...],
) -> None:
    def refuse(spec: object, *_: object, **__: object) -> NoReturn:
        raise SeenError(spec)

    monkeypatch.setattr(pipeline, "booted", refuse)
    monkeypatch.setattr(pipeline, "copy_disk", lambda *_a, **_b: None)
    monkeypatch.setattr(pipeline, "need_free", lambda *_a, **_b: None)
    plan = planned(tmp_path, layers)
    base = tmp_path / "base.qcow2"
    base.write_bytes(b"a disk")
    disk = Disk(path=base, virtual_size_mib=MiB(1), sha256=sha256_file(base), took_s=1.0)
    asked: dict[str, Any] = {"assess": refuse, "open_shell": refuse}

    with pytest.raises(SeenError) as caught:
        pipeline.harden(plan, disk, content_sha256=Sha256("0" * 64), **asked)

    assert caught.value.args[0].reaches == reaches
    # Neither the installer nor the scan has a way out.
    assert plan.spec(base).reaches == ()


def planned(room: Path, layers: tuple[str, ...]) -> pipeline.Plan:
    none = Sha256("0" * 64)
    return pipeline.Plan(
        profile=load("rocky9-stig-nvidia").model_copy(update={"layers": layers}),
        media=Media(path=room / "x.iso", sha256=none, size=1, volume_id="X", name="rocky9"),
        access=Access(user="steward", private_key=room / "key", public_key=""),
        acceleration=Acceleration(kind="tcg", reason=""),
        out=room,
        cache=room,
        emit=silent,
    )


def test_the_image_is_a_private_copy_of_what_the_guest_sees_after_the_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, ...]] = []

    def copy(source: Path, to: Path, *, cluster_bytes: int | None = None) -> None:
        done.append(("copy", source.suffix, to.suffix, str(cluster_bytes)))
        to.write_bytes(source.read_bytes())
        to.chmod(0o644)

    @contextmanager
    def booted(spec: Spec, *_: object, **__: object) -> Iterator[None]:
        yield
        done.append(("off", spec.disk.suffix))
        spec.disk.write_bytes(b"a sealed disk")

    def seal_disk(_shell: object) -> tuple[str, ...]:
        done.append(("seal",))
        return ("bash-0:5.2-1.x86_64",)

    before = Assessment(content_sha256=Sha256("0" * 64), counts={}, remedies=())
    monkeypatch.setattr(pipeline, "copy_disk", copy)
    monkeypatch.setattr(pipeline, "check_disk", lambda disk: done.append(("check", disk.suffix)))
    monkeypatch.setattr(pipeline, "booted", booted)
    monkeypatch.setattr(pipeline, "need_free", lambda *_a, **_b: None)
    monkeypatch.setattr(pipeline, "_assessed", lambda *_: before)
    monkeypatch.setattr(pipeline.registry, "apply", lambda *_a, **_b: ())
    monkeypatch.setattr(pipeline.seal, "seal", seal_disk)
    plan = planned(tmp_path, ("stig",))
    base = tmp_path / "base.qcow2"
    base.write_bytes(b"a disk")
    disk = Disk(path=base, virtual_size_mib=MiB(1), sha256=sha256_file(base), took_s=1.0)

    made = pipeline.harden(
        plan,
        disk,
        content_sha256=Sha256("0" * 64),
        assess=lambda _: before,
        open_shell=lambda _: nullcontext(),
    )

    assert done == [
        ("copy", ".qcow2", ".work", "4096"),
        ("seal",),
        ("off", ".work"),
        ("check", ".work"),
        ("copy", ".work", ".qcow2", "None"),
    ]
    assert made.disk.path.read_bytes() == b"a sealed disk"
    assert made.disk.path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.glob("*.work")] == []
