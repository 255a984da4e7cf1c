"""The content of a scan: refused if its text contains the sudo password."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.core.errors import InputError
from hardpan.core.events import Event, StageMessage, discard
from hardpan.scanners import content_provider
from hardpan.scanners.collect.base import SCE_PLUGIN
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.content.products import OsRelease
from hardpan.scanners.content.script_checks import CheckEngine
from hardpan.scanners.content_provider import ContentProvider
from tests.unit.evidence import samples
from tests.unit.scanners.test_pipeline import CONTENT, SOURCE

_PACKAGE = "openscap-engine-sce"
IDENTITY: Any = SimpleNamespace(job_count=3, file_count=9, missing_for_scripts=())


def provide(
    monkeypatch: pytest.MonkeyPatch, content: PreparedContent, password: str, name: str = "sudo"
) -> PreparedContent:
    monkeypatch.setattr(content_provider, "prepare_content", lambda *_, **__: content)
    provider = ContentProvider(plan=ScanPlan(name="x"), content=SOURCE, passwords={name: password})
    return provider.provide(IDENTITY, discard)


@pytest.mark.parametrize(("jobs", "part_count"), [(None, 3), (1, 1), (16, 16)])
def test_part_count_is_the_requested_number_or_that_of_the_host(
    monkeypatch: pytest.MonkeyPatch, jobs: int | None, part_count: int
) -> None:
    requested_counts: list[int] = []

    def prepare(
        *_: object, part_count: int, file_count: int, engine: CheckEngine
    ) -> PreparedContent:
        assert (file_count, engine) == (9, CheckEngine.OVAL)
        requested_counts.append(part_count)
        return CONTENT

    monkeypatch.setattr(content_provider, "prepare_content", prepare)
    ContentProvider(plan=ScanPlan(name="x"), content=SOURCE, jobs=jobs).provide(IDENTITY, discard)

    assert requested_counts == [part_count]


def test_settings_that_oscap_ignores_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    tailoring = replace(samples.TAILORING, notes=tuple(f"note {n}" for n in range(7)))
    content = replace(CONTENT, content=replace(CONTENT.content, tailoring=tailoring))
    monkeypatch.setattr(content_provider, "prepare_content", lambda *_, **__: content)

    ContentProvider(plan=ScanPlan(name="x"), content=SOURCE).provide(IDENTITY, events.append)

    texts = [e.text for e in events if isinstance(e, StageMessage)]
    assert [t for t in texts if t.startswith("warning: ")] == [
        *(f"warning: tailoring: note {n}" for n in range(5)),
        "warning: tailoring: ignored 2 more: 'hardpan check --tailoring FILE' lists them",
    ]


@pytest.mark.parametrize(
    ("missing", "os_id", "text"),
    [
        ((SCE_PLUGIN,), "rocky", f"{SCE_PLUGIN}; run on the target: dnf install {_PACKAGE}"),
        ((SCE_PLUGIN, "awk"), "sles", f"awk; run on the target: zypper install {_PACKAGE}"),
        ((SCE_PLUGIN,), "ubuntu", "run on the target: apt install openscap-scanner"),
        ((SCE_PLUGIN,), "x", f"run on the target: install {_PACKAGE}"),
        (("awk", "findmnt"), "rocky", "lacks awk, findmnt; install the package that has it"),
    ],
)
def test_script_engine_is_used_only_with_the_plugin(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], os_id: str, text: str
) -> None:
    engines: list[CheckEngine] = []
    events: list[Event] = []

    def prepare(*_: object, engine: CheckEngine, **__: int) -> PreparedContent:
        engines.append(engine)
        return CONTENT

    monkeypatch.setattr(content_provider, "prepare_content", prepare)
    provider = ContentProvider(plan=ScanPlan(name="x"), content=SOURCE, engine=CheckEngine.SCE)
    choices = []
    for lack in ((), missing):
        identity: Any = SimpleNamespace(
            job_count=1, file_count=0, missing_for_scripts=lack, release=OsRelease(os_id=os_id)
        )
        choices.append(provider.provide(identity, events.append).content.choice)

    assert engines == [CheckEngine.SCE, CheckEngine.OVAL]
    assert "SCE" not in choices[0]
    assert choices[1].endswith(text)
    warnings = [e for e in events if isinstance(e, StageMessage) and "warning" in e.text]
    assert [w.text.endswith(text) for w in warnings] == [True]


@pytest.mark.parametrize("name", ["sudo", "SSH"])
def test_password_contained_in_content_is_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    part = replace(CONTENT.parts[0], data=b"<rule>accounts_password</rule>")
    content = replace(CONTENT, parts=(part,))

    expected = replace(
        content.content, choice="content of the build; profile of the hardpan profile x"
    )
    assert provide(monkeypatch, content, "other") == replace(content, content=expected)
    with pytest.raises(InputError, match=f"the {name} password: cannot be used for a scan"):
        provide(monkeypatch, content, "password", name)


def test_password_contained_in_tailoring_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    content = replace(CONTENT, content=replace(CONTENT.content, tailoring=samples.TAILORING))

    with pytest.raises(InputError, match="does not occur in the SCAP content or the tailoring"):
        provide(monkeypatch, content, "appliance")


def test_invalid_content_file_is_an_error_before_a_connection(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text("<x/>")

    with pytest.raises(InputError, match=r"x\.xml"):
        ContentProvider(plan=ScanPlan(), content=tmp_path / "x.xml").require_readable()
