"""The folder of an ISO with everything that the layers need offline."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.ai_models import embedding
from hardpan.builder.artifacts import Assessment, InstallMedia, IsoPayload, OfflineContent
from hardpan.builder.offline import payload, size_plan
from hardpan.builder.offline.packages import list_packages, with_offline_packages
from hardpan.builder.profile_checks import collect_profile_errors
from hardpan.core.errors import AggregateError, InputError
from hardpan.core.events import Event, StageMessage
from hardpan.core.files import MiB, Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.ssg import RULE_PREFIX, Fix

LAB = load_profile("lab-stig")
GIB = 1 << 30
CONTENT = OfflineContent(
    data_stream=b"<data-stream/>",
    profile_id="xccdf_org.ssgproject.content_profile_stig",
    assessment=Assessment(
        content_sha256=Sha256("0" * 64),
        counts={},
        fixes=(Fix(rule_id=f"{RULE_PREFIX}sample", severity="high", script="echo sample\n"),),
    ),
)


@pytest.fixture(autouse=True)
def model_files(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"opt/ai/models/x/model.bin": b"weights"}
    monkeypatch.setattr(embedding, "prepare_files", lambda _cache, _emit: files)


def write(folder: Path, profile: Profile = LAB, events: list[Event] | None = None) -> IsoPayload:
    folder.mkdir()
    emit = (events if events is not None else []).append
    request = payload.PayloadRequest(
        profile=profile, content=CONTENT, cache=folder.parent, emit=emit
    )
    return payload.write_payload(request, folder)


def variables_of(written: IsoPayload, layer: str) -> dict[str, Any]:
    text = (written.folder / "layers" / layer / "variables.json").read_text("utf-8")
    variables: dict[str, Any] = json.loads(text)
    return variables


def test_layers_are_numbered_in_the_order_of_the_profile(tmp_path: Path) -> None:
    events: list[Event] = []
    written = write(tmp_path / "payload", events=events)

    assert sorted(p.name for p in (written.folder / "layers").iterdir()) == ["00-ml_cpu", "01-stig"]
    assert [e.text for e in events if isinstance(e, StageMessage)] == [
        "collecting layer ml_cpu",
        "collecting layer stig",
    ]


def test_variables_have_the_paths_of_the_installed_machine(tmp_path: Path) -> None:
    written = write(tmp_path / "payload")

    stig, ml_cpu = variables_of(written, "01-stig"), variables_of(written, "00-ml_cpu")
    folder = "/var/lib/hardpan-layers/layers"
    assert ml_cpu["ml_cpu_archive"] == f"{folder}/00-ml_cpu/model.tar"
    assert stig["stig_archive"] == f"{folder}/01-stig/fixes.tar"
    assert stig["stig_content"] == f"{folder}/01-stig/content.xml"
    assert stig["stig_profile_id"] == CONTENT.profile_id
    assert (stig["layer"], stig["ansible_become"], stig["ansible_user"]) == ("stig", False, "root")
    assert "stig_content" not in ml_cpu
    assert str(tmp_path) not in (written.folder / "layers/01-stig/variables.json").read_text()


def test_variables_are_options_of_the_roles(tmp_path: Path) -> None:
    written = write(tmp_path / "payload")
    specification = (written.folder / "ansible/roles/stig/meta/argument_specs.yml").read_text()

    names = [name for name in variables_of(written, "01-stig") if name.startswith("stig_")]
    assert len(names) == 7
    assert [name for name in names if f"{name}:" not in specification] == []


def test_same_inputs_give_the_same_digest_in_another_folder(tmp_path: Path) -> None:
    first, second = write(tmp_path / "first"), write(tmp_path / "second")

    assert first.sha256 == second.sha256
    assert first.size_bytes == second.size_bytes > 10_000
    assert first.file_count == len([p for p in first.folder.rglob("*") if p.is_file()])


def test_files_are_readable_and_not_executable(tmp_path: Path) -> None:
    written = write(tmp_path / "payload")
    modes = {
        (p.is_dir(), p.stat().st_mode & 0o7777)
        for p in (written.folder, *written.folder.rglob("*"))
    }

    assert modes == {(True, 0o755), (False, 0o644)}


def test_every_obstacle_is_reported_before_anything_is_collected(tmp_path: Path) -> None:
    profile = load_profile("rocky9-ai")

    with pytest.raises(AggregateError) as caught:
        write(tmp_path / "payload", profile)

    messages = [str(error) for error in caught.value.errors]
    assert [m.partition(", got ")[2].partition(":")[0] for m in messages] == [
        "nvidia_driver",
        "cuda",
        "containers",
    ]
    assert messages[1] == (
        "rocky9-ai: --offline: expected layers that need no network, got cuda: its packages come"
        " from the repository cuda, not from the install media"
    )
    assert list((tmp_path / "payload").iterdir()) == []


def test_obstacle_is_a_problem_of_the_plan() -> None:
    profile = load_profile("rocky9-stig-amd")

    errors = collect_profile_errors(profile, builds_image=False, offline=True)
    without = collect_profile_errors(profile, builds_image=False)

    assert "layers" in [x.area for x in errors.collected]
    assert "layers" not in [x.area for x in without.collected]


@pytest.mark.parametrize(
    ("profile", "packages"),
    [
        ("rocky9-stig", ("ansible-core", "openscap-scanner")),
        ("lab-stig", ("ansible-core", "openscap-scanner")),
    ],
)
def test_installer_installs_ansible_and_openscap(profile: str, packages: tuple[str, ...]) -> None:
    original = load_profile(profile)
    offline = with_offline_packages(original)

    assert list_packages(original) == packages
    assert set(offline.install_packages) - set(original.install_packages) == {"ansible-core"}


def test_podman_of_the_distribution_is_installed_by_the_installer() -> None:
    profile = load_profile("rocky9-stig").model_copy(update={"layers": ("containers", "stig")})

    payload.require_possible(profile)
    assert "podman" in list_packages(profile)


def with_var(profile: Profile, size_mib: int, *, grow: bool = False) -> Profile:
    partitions = tuple(
        p.model_copy(update={"size_mib": MiB(size_mib), "grow": grow}) if p.mount == "/var" else p
        for p in profile.storage.partitions
    )
    storage = profile.storage.model_copy(update={"partitions": partitions})
    return profile.model_copy(update={"storage": storage})


def test_partition_of_the_copy_must_have_space_for_it() -> None:
    with pytest.raises(InputError) as caught:
        payload.require_partition(with_var(LAB, 2048), 2 * GIB)

    assert str(caught.value) == (
        "lab-stig: storage: /var: expected at least 3072 MiB for the layers' files at the first"
        " boot, got 2048 MiB"
    )
    payload.require_partition(with_var(LAB, 3072), 2 * GIB)
    payload.require_partition(with_var(LAB, 2048, grow=True), 2 * GIB)


def make_media(size_bytes: int) -> InstallMedia:
    return InstallMedia(
        path=Path("x.iso"), sha256=Sha256("0" * 64), size_bytes=size_bytes, volume_id="X", name="x"
    )


def test_size_includes_the_last_block_of_each_file(tmp_path: Path) -> None:
    written = write(tmp_path / "payload")

    size = size_plan.planned_bytes(GIB, written)

    assert size > GIB + written.size_bytes + 2048 * written.file_count
    assert size < GIB + written.size_bytes + (2 << 20)


def test_limit_of_install_media_applies_without_an_option(tmp_path: Path) -> None:
    written = write(tmp_path / "payload")
    large = replace(written, size_bytes=31 * GIB)

    size_plan.require_size(tmp_path, make_media(GIB), written, max_size_mib=None)
    size_plan.require_size(tmp_path, make_media(GIB), written, max_size_mib=MiB(1100))
    with pytest.raises(InputError, match=r"at most 32768 MiB \(the limit of install media\)"):
        size_plan.require_size(tmp_path, make_media(GIB), large, max_size_mib=None)
    with pytest.raises(InputError, match="media 1024 MiB, layer ml_cpu 1 MiB, layer stig 1 MiB"):
        size_plan.require_size(tmp_path, make_media(GIB), written, max_size_mib=MiB(1024))
