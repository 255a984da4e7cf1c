"""What cannot be installed is refused before anything runs, with the reason."""

from pathlib import Path

import pytest

from hardpan import cli
from hardpan.workflow import build_and_attest
from tests.unit import fake_host

UNSUPPORTED = [
    (
        "rocky9-stig-nvidia",
        "amd: {rocm: '7.14', driver: 30.10.1, gfx_target: gfx942, vendor_support: listed}",
        "expected no amd section with 'accelerator: nvidia'",
    ),
    (
        "rocky10-stig-nvidia",
        "nvidia: {branch: '620', driver: 620.10.01, kernel_module: proprietary}",
        "expected open: branch 620 and later have no proprietary kernel module",
    ),
    (
        "rocky10-stig-nvidia",
        "nvidia: {branch: '570', driver: 570.172.08, cuda: '12.8'}",
        (
            "expected one of 580, 595, 610, 615, 620, got '570': no flat package of it is listed"
            " for rocky10"
        ),
    ),
    (
        "rocky9-stig-nvidia",
        "nvidia: {branch: '570', driver: 570.172.08, cuda: '12.8'}",
        "got '570': no module stream of it is listed for rocky9",
    ),
    (
        "rocky9-stig-nvidia",
        "nvidia: {driver: 580.65.05}",
        "CUDA 13.3 needs 580.65.06 or later, got '580.65.05'",
    ),
    (
        "rocky10-stig-nvidia",
        "nvidia: {branch: '525', driver: 525.60.12, cuda: '12.0'}",
        "CUDA 12.0 needs 525.60.13 or later, got '525.60.12'",
    ),
    (
        "rocky10-stig-nvidia",
        "nvidia: {driver: 595.91.07}",
        "expected a version of branch 580, got '595.91.07'",
    ),
    (
        "rocky10-stig-nvidia",
        "nvidia: {cuda: '14.0'}",
        "expected 12.x or 13.x, got '14.0'",
    ),
    (
        "rocky9-stig-amd",
        "amd: {rocm: '7.5'}",
        (
            "expected a listed release (6.0 to 6.4, 7.0 to 7.2, 7.9 to 7.14, 10.0 to 10.0),"
            " got '7.5'"
        ),
    ),
    (
        "rocky9-stig-amd",
        "amd: {rocm: '10.0'}",
        (
            "expected a release with packages for rocky9, got '10.0': ROCm 10.0 to 10.0 is listed"
            " for rocky10"
        ),
    ),
    (
        "rocky10-stig-amd",
        "amd: {rocm: '6.4'}",
        "expected a release with packages for rocky10, got '6.4'",
    ),
    (
        "rocky9-stig-amd",
        "amd: {gfx_target: gfx1100}",
        (
            "expected one of gfx908, gfx90a, gfx942, gfx950, which ROCm 7.14 has packages for,"
            " got 'gfx1100'"
        ),
    ),
    (
        "rocky9-stig-amd",
        "amd: {rocm: '6.4', gfx_target: gfx950}",
        "expected one of gfx908, gfx90a, gfx942, which ROCm 6.4 has packages for, got 'gfx950'",
    ),
    (
        "rocky10-stig-amd",
        "amd: {unlisted_reason: null}",
        "expected unlisted_reason with 'vendor_support: unlisted'",
    ),
    (
        "rocky10-stig-amd",
        "amd: {vendor_support: listed}",
        "expected unlisted: AMD lists Rocky for EL9 only",
    ),
]


def _write_profile(tmp_path: Path, parent: str, hardware: str) -> Path:
    path = tmp_path / "profile.yaml"
    path.write_text(
        f"extends: {parent}\nname: ours\ntitle: Ours\nhardware: {{{hardware}}}\n", "utf-8"
    )
    return path


@pytest.mark.parametrize(("parent", "hardware", "problem"), UNSUPPORTED)
def test_render_rejects_unsupported_hardware_without_output(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    parent: str,
    hardware: str,
    problem: str,
) -> None:
    path = _write_profile(tmp_path, parent, hardware)

    code = cli.run(["render", str(path), "-o", str(tmp_path / "out")])

    assert code == 3
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def forbid_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something ran")

    fake_host.install(monkeypatch)
    for name in ("prepare_build", "build_image"):
        monkeypatch.setattr(build_and_attest, name, refuse)


@pytest.mark.usefixtures("forbid_processes")
@pytest.mark.parametrize("verb", [["build", "--as", "iso"], ["build"], ["prove"]])
@pytest.mark.parametrize("parent", ["rocky9-stig-nvidia", "rocky10-stig-nvidia"])
def test_build_requires_accepted_licence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: list[str], parent: str
) -> None:
    code = cli.run([*verb, parent, "-o", str(tmp_path / "out"), "--cache", str(tmp_path / "c")])

    stderr = capsys.readouterr().err
    assert code == 3
    assert "hardware.nvidia.accept_eula: expected true" in stderr
    assert "cuda-toolkit-13-3" in stderr
    assert "not built yet" not in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("forbid_processes")
@pytest.mark.parametrize(
    ("parent", "hardware", "lacking"),
    [
        (
            "rocky9-stig-nvidia",
            "nvidia: {accept_eula: true, module_signing: site_key}",
            "repository site: expected url and",
        ),
        (
            "rocky10-stig-amd",
            "",
            "repository rocm-therock: expected key_sha256 of https://repo.amd",
        ),
    ],
)
def test_incomplete_repository_is_reported_before_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parent: str, hardware: str, lacking: str
) -> None:
    path = _write_profile(tmp_path, parent, hardware)

    to = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    code = cli.run(["build", str(path), *to])

    assert code == 3
    assert lacking in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
