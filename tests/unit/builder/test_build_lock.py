"""A lock has everything that an image was built from; another build is compared with it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder import build_lock
from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.build_lock import BuildLock, LockedFile, LockedPackage
from hardpan.builder.dnf.comps import Comps
from hardpan.builder.dnf.modules import Modules
from hardpan.builder.dnf.repodata import Rpm
from hardpan.builder.media.repositories import MediaContent, MediaKind, MediaRepository
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256
from tests.unit.attest.test_stack_sbom import stack_result

MEDIA = InstallMedia(
    path=Path("x.iso"), sha256=Sha256("1" * 64), size_bytes=1, volume_id="X", name="rocky9"
)
CONTENT_SHA256 = Sha256("2" * 64)
HEADERS = {
    "bash-5.1.8-9.el9.x86_64": "a" * 64,
    "audit-1:3.1-2.el9.x86_64": "b" * 64,
    "gpg-pubkey-1-2": "(none)",
}


def make_rpm(name: str, version: str, release: str, *, epoch: str = "0", sha256: str = "") -> Rpm:
    return Rpm(
        name=name,
        version=version,
        release=release,
        arch="x86_64",
        size_bytes=1,
        installed_bytes=1,
        epoch=epoch,
        sha256=sha256,
    )


def make_content(repomd: str = "3") -> MediaContent:
    repositories = tuple(
        MediaRepository(
            id=name,
            path=name,
            repomd_sha256=Sha256(digest * 64),
            primary_sha256=Sha256("0" * 64),
            package_count=1,
            group_count=0,
            module_stream_count=0,
        )
        for name, digest in (("BaseOS", repomd), ("AppStream", "4"))
    )
    return MediaContent(
        kind=MediaKind.DVD,
        tree=None,
        repositories=repositories,
        rpms=(
            make_rpm("bash", "5.1.8", "9.el9", sha256="c" * 64),
            make_rpm("audit", "3.1", "2.el9", epoch="1", sha256="d" * 64),
        ),
        comps=Comps(),
        modules=Modules(),
        sha256=Sha256("0" * 64),
    )


def make_lock(content: MediaContent | None = None) -> BuildLock:
    used = content or make_content()
    inputs = build_lock.lock_inputs("rocky9-stig", MEDIA, used, CONTENT_SHA256)
    return inputs.model_copy(
        update={
            "packages": build_lock.lock_packages(HEADERS, used),
            "wheels": build_lock.lock_wheels([stack_result()]),
            "models": build_lock.lock_model(),
        }
    )


def test_packages_have_repository_and_digests() -> None:
    packages = {package.nevra: package for package in make_lock().packages}

    assert list(packages) == sorted(HEADERS)
    assert packages["bash-5.1.8-9.el9.x86_64"] == LockedPackage(
        nevra="bash-5.1.8-9.el9.x86_64",
        repository="BaseOS",
        sha256="c" * 64,
        header_sha256="a" * 64,
    )
    assert packages["audit-1:3.1-2.el9.x86_64"].repository == "AppStream"
    assert packages["audit-1:3.1-2.el9.x86_64"].sha256 == "d" * 64
    assert packages["gpg-pubkey-1-2"].repository == ""


def test_lock_has_repositories_wheels_and_models() -> None:
    lock = make_lock()

    assert [(x.name, x.sha256) for x in lock.repositories] == [
        ("BaseOS", "3" * 64),
        ("AppStream", "4" * 64),
    ]
    assert lock.wheels[0].name.startswith("serving/cryptography-50.0.2+x-cp311")
    assert lock.wheels[0].sha256 == "4" * 64
    assert "all-MiniLM-L6-v2/model.safetensors" in {x.name for x in lock.models}


def test_lock_file_is_read_back(tmp_path: Path) -> None:
    lock, path = make_lock(), tmp_path / "x.lock.json"
    path.write_bytes(lock.to_json())

    assert build_lock.load_lock(path) == lock
    assert lock.to_json() == make_lock().to_json()
    build_lock.require_unchanged(lock, build_lock.load_lock(path))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a lock"),
        ("[]", "not a lock"),
        ('{"profile": 1}', "not a lock"),
        (json.dumps({**json.loads(make_lock().to_json()), "extra": 1}), "not a lock"),
        (json.dumps({**json.loads(make_lock().to_json()), "version": 2}), "expected 1, got 2"),
    ],
)
def test_malformed_lock_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "x.lock.json"
    path.write_text(text)

    with pytest.raises(InputError, match=problem):
        build_lock.load_lock(path)


def test_every_kind_of_difference_is_listed() -> None:
    lock = make_lock()
    packages = (
        lock.packages[0].model_copy(update={"nevra": "audit-1:3.2-1.el9.x86_64"}),
        lock.packages[1].model_copy(update={"header_sha256": "f" * 64}),
        LockedPackage(nevra="zlib-1-1.x86_64", repository="", sha256="", header_sha256=""),
    )
    build = lock.model_copy(
        update={
            "content": "9" * 64,
            "packages": packages,
            "wheels": (LockedFile(name="serving/new.whl", sha256="8" * 64),),
        }
    )

    lines = list(build_lock.compare_locks(lock, build))

    assert lines[:4] == [
        f"content: expected sha256 {'2' * 64}, got {'9' * 64}",
        "package audit: expected audit-1:3.1-2.el9.x86_64, got audit-1:3.2-1.el9.x86_64",
        "package bash: bash-5.1.8-9.el9.x86_64 has another repository or digest",
        "package gpg-pubkey-1-2: missing: gpg-pubkey-1-2",
    ]
    assert lines[4] == "package zlib: not in the lock: zlib-1-1.x86_64"
    assert lines[5].startswith("wheel serving/cryptography-")
    assert lines[6] == "wheel serving/new.whl: not in the lock"
    assert len(lines) == 7


def test_other_media_are_refused_before_the_first_stage() -> None:
    media = replace(MEDIA, sha256=Sha256("7" * 64))
    inputs = build_lock.lock_inputs("rocky9-stig", media, make_content("5"), CONTENT_SHA256)

    with pytest.raises(TrustError, match="2 differences") as caught:
        build_lock.require_unchanged_inputs(make_lock(), inputs)

    assert f"\n  media: expected rocky9 sha256 {'1' * 64}, got rocky9" in str(caught.value)
    assert f"\n  repository BaseOS: expected sha256 {'3' * 64}, got {'5' * 64}" in str(caught.value)


def test_packages_are_not_compared_before_the_first_stage() -> None:
    inputs = build_lock.lock_inputs("rocky9-stig", MEDIA, make_content(), CONTENT_SHA256)

    build_lock.require_unchanged_inputs(make_lock(), inputs)

    assert inputs.packages == ()


def test_long_list_of_differences_is_cut() -> None:
    lock = make_lock()
    packages = tuple(
        LockedPackage(nevra=f"p{n}-1-1.x86_64", repository="", sha256="", header_sha256="")
        for n in range(60)
    )

    with pytest.raises(TrustError, match="60 differences") as caught:
        build_lock.require_unchanged(
            lock, lock.model_copy(update={"packages": (*lock.packages, *packages)})
        )

    assert str(caught.value).splitlines()[-1] == "  and 20 more"


def locked_build() -> BuildLock:
    content = make_content()
    return build_lock.lock_inputs("p", MEDIA, content, CONTENT_SHA256).model_copy(
        update={"packages": build_lock.lock_packages(HEADERS, content)}
    )


def test_packages_of_the_media_are_compared_without_a_build() -> None:
    lock, content = locked_build(), make_content()
    inputs = build_lock.lock_inputs("p", MEDIA, content, CONTENT_SHA256)
    newer = replace(
        content,
        rpms=(
            make_rpm("bash", "5.1.9", "1.el9", sha256="c" * 64),
            make_rpm("audit", "3.1", "2.el9", epoch="1", sha256="e" * 64),
        ),
    )

    build_lock.require_available(lock, inputs, content)
    with pytest.raises(TrustError, match="2 differences") as caught:
        build_lock.require_available(lock, inputs, newer)
    assert "package bash-5.1.8-9.el9.x86_64: not on the media" in str(caught.value)
    assert f"expected sha256 {'d' * 64}, got {'e' * 64}" in str(caught.value)
