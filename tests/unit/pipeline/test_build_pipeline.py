"""What the builder's pipeline hands to the machine that the layers are put on."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from hardpan.builder import pipeline
from hardpan.builder.machine.probe import Acceleration
from hardpan.builder.machine.tunnel import Endpoint
from hardpan.builder.receipts import Access, Disk, Media
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
