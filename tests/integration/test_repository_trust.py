"""Signature, key and age of a repository's metadata: real createrepo_c, gpg and gpgv."""

import json
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.dnf.repository_trust import SignatureState, read_metadata
from hardpan.core.errors import TrustError
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.software_catalog.package_plan import plan_packages
from tests.integration import openpgp_keys
from tests.integration.openpgp_keys import OpenPgpKey
from tests.integration.test_package_check import PROFILE, make_repository

pytestmark = pytest.mark.integration

REPOMD = "repodata/repomd.xml"


@pytest.fixture(scope="module")
def key() -> Iterator[OpenPgpKey]:
    with tempfile.TemporaryDirectory(prefix="gpg") as name:
        key = openpgp_keys.create_key(Path(name) / "home")
        yield key
        openpgp_keys.stop_agent(key.home)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    run(["createrepo_c", "--quiet", "--no-database", folder], timeout_s=60)
    return folder


def set_date(mirror: Path, date: datetime) -> None:
    path = mirror / REPOMD
    text = re.sub(
        r"<timestamp>\d+</timestamp>",
        f"<timestamp>{int(date.timestamp())}</timestamp>",
        path.read_text(),
    )
    path.write_text(text)


def test_signed_metadata_names_its_key(mirror: Path, key: OpenPgpKey) -> None:
    key.sign_detached(mirror / REPOMD)

    metadata = read_metadata(str(mirror), load_key=lambda _: key.public_key)

    assert (metadata.signature, metadata.fingerprint) == (SignatureState.VALID, key.fingerprint)
    assert metadata.age_days == 0
    assert str(metadata).endswith(f"0 days ago; signed by the key {key.fingerprint}")


def test_changed_metadata_is_rejected(mirror: Path, key: OpenPgpKey) -> None:
    key.sign_detached(mirror / REPOMD)
    set_date(mirror, datetime(2026, 1, 1, tzinfo=UTC))

    with pytest.raises(TrustError, match=r"repomd\.xml: its signature is invalid"):
        read_metadata(str(mirror), load_key=lambda _: key.public_key)


def test_unsigned_metadata_and_unknown_keys_are_reported(mirror: Path, key: OpenPgpKey) -> None:
    assert (
        read_metadata(str(mirror), load_key=lambda _: key.public_key).signature
        is SignatureState.MISSING
    )
    key.sign_detached(mirror / REPOMD)

    metadata = read_metadata(str(mirror))

    assert (metadata.signature, metadata.fingerprint) == (SignatureState.NO_KEY, "")
    assert str(metadata).endswith("signed, and no key to check it with")


def test_age_is_that_of_the_newest_list(mirror: Path) -> None:
    set_date(mirror, datetime(2024, 2, 3, 12, tzinfo=UTC))

    metadata = read_metadata(str(mirror))

    assert metadata.created == datetime(2024, 2, 3, 12, tzinfo=UTC)
    assert str(metadata).startswith("written 2024-02-03, ")


def check(mirror: Path, *arguments: str) -> int:
    return cli.run(
        ["repo", "check", str(mirror), "--id", "cuda", "--release", "rocky9", *arguments]
    )


def test_command_reports_signature_and_age(
    mirror: Path, key: OpenPgpKey, capsys: pytest.CaptureFixture[str]
) -> None:
    key.sign_detached(mirror / REPOMD)

    check(mirror, "--repo-key", str(key.public_key), "--json")

    report = json.loads(capsys.readouterr().out)
    assert (report["signature"], report["signed_by"]) == ("valid", key.fingerprint)
    assert report["age_days"] == 0
    assert report["created"].startswith(f"{datetime.now(UTC):%Y-}")


def test_required_signature_and_age_are_findings(
    mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_date(mirror, datetime(2024, 2, 3, tzinfo=UTC))

    assert check(mirror, "--require-signature", "--max-age", "30") == 1

    messages = capsys.readouterr().err
    assert "expected a valid signature, got missing" in messages
    assert "expected an age of at most 30 days, got " in messages


def test_every_repository_of_a_profile_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = [
        spec
        for layer in plan_packages(load_profile(PROFILE))
        for spec in layer.packages or ()
        if not spec.repository.on_media
    ]
    versions = {spec.package.replace("*", "5.14"): spec.version or "1.0" for spec in packages}
    mirror = make_repository(tmp_path / "r", versions)
    ids = sorted({spec.repository.id for spec in packages})
    sections = "".join(f"  - id: {name}\n    url: file://{mirror}\n" for name in ids)
    profile = tmp_path / "site.yaml"
    profile.write_text(
        f"name: site\ntitle: Site\nextends: {PROFILE}\nrepositories:\n{sections}", "utf-8"
    )

    code = cli.run(["repo", "check", str(profile), "--json"])

    reports = json.loads(capsys.readouterr().out)["repositories"]
    assert code == 0
    assert sorted(report["id"] for report in reports) == ids
    assert {report["signature"] for report in reports} == {"missing"}
    assert sum(len(report["packages"]) for report in reports) == len(versions)


def test_profile_without_repositories_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["repo", "check", "rocky9-stig-cpu"]) == 3
    assert "its layers install from no repository" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--repo", "/x", PROFILE]])
def test_command_needs_either_repository_or_profile(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["repo", "check", *arguments]) == 2
    assert "expected one repository or one profile" in capsys.readouterr().err
