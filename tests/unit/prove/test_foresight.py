"""Which stages a run would take from an earlier one, told from records alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder import steps as building
from hardpan.builder.media import sources
from hardpan.builder.receipts import Access
from hardpan.events import silent
from hardpan.files import Sha256, sha256_bytes, sha256_file
from hardpan.kickstart import boot_arguments
from hardpan.profiles.load import load
from hardpan.prove import keyring, steps
from hardpan.prove.asked import Asked
from hardpan.prove.examine import Plan, examine
from hardpan.prove.foresight import Stage
from hardpan.resume import Step
from hardpan.scanners.commands.keys import new_keys
from images.lab import build as lab
from tests.unit import bare_machine
from tests.unit.evidence.forge import KEYS_MADE

KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= hardpan-operator"
)
LABEL = "HARDPAN-LAB-9"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A machine whose cache has media and keys."""
    bare_machine.put(monkeypatch)
    cache = tmp_path / "cache"
    cache.mkdir()
    media = cache / "lab.iso"
    media.write_bytes(b"media")
    told = {"iso": str(media), "sha256": sha256_file(media), "size": 5, "volume_label": LABEL}
    monkeypatch.setattr(sources, "_asked", lambda *_, **__: told)
    access = Access(user="steward", private_key=cache / "id", public_key=KEY)
    monkeypatch.setattr(keyring, "operator_there", lambda *_: access)
    new_keys(cache / "keys", now=KEYS_MADE)
    return Asked(profile=load("lab-stig"), out=tmp_path / "out", cache=cache, data=cache)


def run(step: Step, sha256: str) -> None:
    """Carry out a stage as far as its record goes."""

    def work(_note: object) -> dict[str, object]:
        for path in step.outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"made")
        return {"sha256": sha256}

    step.once(silent, work)


ISO, BASE, IMAGE = (Sha256(x * 64) for x in "abc")


def carried_out(asked: Asked, until: str) -> None:
    """The records that a run leaves up to a stage."""
    profile, found = asked.profile, examine(asked, silent)
    media, content, ring = found.seen.media, found.seen.content, found.seen.ring
    assert media is not None
    assert media.sha256 is not None
    assert content is not None
    assert ring is not None
    made = {
        "iso": building.iso(
            profile,
            asked.out,
            media_sha256=media.sha256,
            text=found.seen.kickstart,
            arguments=boot_arguments(profile, LABEL),
        ),
        "install": building.install(profile, asked.cache, iso_sha256=ISO),
        "assess": building.assess(
            profile, asked.cache, base_sha256=BASE, content_sha256=content.sha256
        ),
        "harden": building.harden(
            profile, asked.out, base_sha256=BASE, content_sha256=content.sha256
        ),
        "provenance": steps.provenance(
            profile.name,
            asked.out,
            ring,
            image_sha256=IMAGE,
            iso_sha256=ISO,
            content=content.sha256,
        ),
        "scan": steps.scan(asked, ring, image_sha256=IMAGE, content=content.sha256),
    }
    results = {"iso": ISO, "install": BASE, "harden": IMAGE}
    for name, step in made.items():
        run(step, results.get(name, ""))
        if name == until:
            return


def states(plan: Plan) -> dict[str, str]:
    return {stage.name: stage.state for stage in plan.stages}


def test_without_any_record_all_is_made_anew(asked: Asked) -> None:
    found = examine(asked, silent, proof=True)

    assert states(found) == {
        "media": "cache",
        "content": "present",
        **dict.fromkeys(
            ("iso", "install", "assess", "harden", "provenance", "scan", "verify"), "anew"
        ),
    }
    assert found.stages[5].makes == (asked.out / "lab-stig.qcow2",)


def test_a_finished_run_is_taken_up_whole(asked: Asked) -> None:
    carried_out(asked, "scan")

    assert states(examine(asked, silent, proof=True)) == {
        "media": "cache",
        "content": "present",
        "iso": "earlier",
        "install": "cache",
        "assess": "cache",
        "harden": "earlier",
        "provenance": "earlier",
        "scan": "earlier",
        "verify": "anew",
    }


def test_another_nonce_is_another_scan_and_nothing_else(asked: Asked) -> None:
    carried_out(asked, "scan")

    found = states(examine(replace(asked, nonce="x"), silent, proof=True))

    assert [name for name, state in found.items() if state == "anew"] == ["scan", "verify"]


def test_into_another_folder_the_base_install_shows_on_the_way(
    asked: Asked, tmp_path: Path
) -> None:
    carried_out(asked, "scan")

    found = states(examine(replace(asked, out=tmp_path / "other"), silent, proof=True))

    assert found["iso"] == "anew"
    assert (found["install"], found["assess"]) == ("open", "open")
    assert (found["harden"], found["provenance"], found["scan"]) == ("anew", "anew", "anew")


def test_an_output_that_is_gone_is_made_anew(asked: Asked) -> None:
    carried_out(asked, "scan")
    (asked.out / "lab-stig.qcow2").unlink()

    found = states(examine(asked, silent, proof=True))

    assert (found["assess"], found["harden"]) == ("cache", "anew")
    assert (found["provenance"], found["scan"]) == ("anew", "anew")


def test_after_an_interrupted_run_the_rest_is_made_anew(asked: Asked) -> None:
    carried_out(asked, "install")

    found = states(examine(asked, silent, proof=True))

    assert (found["iso"], found["install"]) == ("earlier", "cache")
    assert (found["assess"], found["harden"], found["scan"]) == ("anew", "anew", "anew")


def test_what_is_begun_with_free_disk_is_told_and_what_is_kept_is_not_asked_for(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out(asked, "install")
    wanted: list[str] = []
    monkeypatch.setattr("hardpan.prove.before.need_free", lambda *_, what: wanted.append(what))

    found = examine(asked, silent)

    needs: dict[str, Stage] = {s.name: s for s in found.stages if s.need_mib}
    assert set(needs) == {"iso", "install", "harden"}
    assert wanted == ["stage harden"]


def test_looking_leaves_the_folders_of_an_earlier_run_alone(asked: Asked, tmp_path: Path) -> None:
    carried_out(asked, "scan")

    def tree() -> dict[str, tuple[int, str]]:
        return {
            str(p): (p.stat().st_mtime_ns, sha256_file(p) if p.is_file() else "")
            for p in sorted(tmp_path.rglob("*"))
        }

    before = tree()
    examine(asked, silent, proof=True, digest=True)

    assert tree() == before


def test_the_lab_s_builder_tells_its_newest_media_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "_check_machine", lambda _installer: None)
    assert lab.look(tmp_path, installer=tmp_path) == {}
    for name, age in (("a" * 16, 1), ("b" * 16, 2)):
        path = tmp_path / f"{LABEL}-{name}.iso"
        path.write_bytes(name.encode())
        record = {"iso": str(path), "size": 16, "sha256": sha256_bytes(name.encode())}
        (tmp_path / f"{name}.json").write_text(json.dumps(record), "utf-8")
        lab.os.utime(path, (age, age))

    assert lab.look(tmp_path, installer=tmp_path)["iso"].endswith("-bbbbbbbbbbbbbbbb.iso")
    (tmp_path / f"{LABEL}-{'b' * 16}.iso").write_bytes(b"cut")
    assert lab.look(tmp_path, installer=tmp_path)["iso"].endswith("-aaaaaaaaaaaaaaaa.iso")
