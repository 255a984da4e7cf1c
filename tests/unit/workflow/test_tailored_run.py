"""The scan of an image that ``prove`` has built, with and without a tailoring."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpan import cli
from hardpan.cli import prove
from hardpan.preflight.plan import RunPlan
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.content_provider import ContentProvider
from hardpan.scanners.deviations.tailoring_file import TailoringFile, load_tailoring
from hardpan.workflow import build_and_attest
from hardpan.workflow.request import BuildRequest

BASELINE = {"fail": 2}


@pytest.fixture
def tailoring(tmp_path: Path) -> TailoringFile:
    file = tmp_path / "site.yaml"
    file.write_text("title: Site\nunselect:\n  package_aide_installed: Another tool does it.\n")
    return load_tailoring(file)


def test_scan_uses_the_tailoring(
    tailoring: TailoringFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_and_attest, "_image_reference", lambda _: None)
    image = cast(
        Any, SimpleNamespace(source="x", hardened=SimpleNamespace(baseline_counts=BASELINE))
    )
    expected: list[tuple[TailoringFile | None, object]] = [(None, BASELINE), (tailoring, None)]

    for file, baseline in expected:
        request = BuildRequest(
            profile=load_profile("lab-stig"),
            output_folder=tmp_path,
            cache_folder=tmp_path,
            tailoring=file,
        )
        scan_request = build_and_attest._build_scan_request(request, image)

        provider = cast(Any, scan_request.provide_content).__self__
        assert isinstance(provider, ContentProvider)
        assert provider.tailoring is file
        assert scan_request.baseline_counts == baseline


def test_option_is_read_before_the_run(
    tailoring: TailoringFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[BuildRequest] = []

    def make_plan(request: BuildRequest, *_: object, **__: object) -> RunPlan:
        requests.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(prove, "make_plan", make_plan)

    code = cli.run(["prove", "lab-stig", "--dry-run", "--tailoring", tailoring.path])

    assert code == 130
    assert requests[0].tailoring is not None
    assert requests[0].tailoring.sha256 == tailoring.sha256
