"""Loading, inheritance and the digest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from hardpan.core.errors import InputError
from hardpan.profiles.constraints.system import is_key_accepted
from hardpan.profiles.loader import shipped
from hardpan.profiles.loader.profile_file import load_profile, profile_digest, profile_json_schema

Write = Callable[..., Path]


def test_sizes_are_stored_in_mib(profile_file: Write, good: str) -> None:
    profile = load_profile(profile_file(good))

    assert profile.disk_size_mib == 60 * 1024
    assert profile.machine.memory_mib == 4096
    assert profile.storage.partitions[0].size_mib == 600


def test_profile_is_frozen(profile_file: Write, good: str) -> None:
    profile = load_profile(profile_file(good))

    with pytest.raises(ValidationError, match="frozen"):
        profile.fips = False  # type: ignore[misc]


def test_digest_ignores_comments_and_order(profile_file: Write, good: str) -> None:
    original_digest = profile_digest(load_profile(profile_file(good)))
    reordered = good.replace("fips: true\n", "") + "# a comment\nfips: true\n"

    assert profile_digest(load_profile(profile_file(reordered))) == original_digest


def test_digest_depends_on_values(profile_file: Write, good: str) -> None:
    original_digest = profile_digest(load_profile(profile_file(good)))

    assert (
        profile_digest(load_profile(profile_file(good.replace("host1", "host2"))))
        != original_digest
    )


def test_child_merges_maps_and_replaces_lists(profile_file: Write, good: str) -> None:
    profile_file(good, "parent.yaml")
    child = profile_file(
        "extends: ./parent.yaml\nname: child\ntitle: Child\n"
        "packages: {install: [audit]}\nsystem: {timezone: Europe/Berlin}\n",
        "child.yaml",
    )

    profile = load_profile(child)

    assert profile.packages.install == ("audit",)
    assert profile.packages.remove == ("vsftpd",)
    assert profile.system.hostname == "host1"
    assert profile.system.timezone == "Europe/Berlin"


def test_name_and_title_are_not_inherited(profile_file: Write, good: str) -> None:
    profile_file(good, "parent.yaml")
    child = profile_file("extends: ./parent.yaml\nfips: false\n", "child.yaml")

    with pytest.raises(InputError) as caught:
        load_profile(child)

    assert [line.split(": ", 1)[1] for line in str(caught.value).splitlines()] == [
        "name: is missing",
        "title: is missing",
    ]


def test_parent_problem_reports_parent_location(profile_file: Write, good: str) -> None:
    parent = profile_file(good.replace("60 GiB", "60 GB"), "parent.yaml")
    child = profile_file("extends: ./parent.yaml\nname: c\ntitle: C\n", "child.yaml")

    with pytest.raises(InputError, match=r"parent\.yaml:8:14: storage\.disk_size") as caught:
        load_profile(child)

    assert parent.name in str(caught.value)


@pytest.mark.parametrize(
    ("extends", "problem"),
    [
        ("./missing.yaml", "1:10: extends: expected a file, got no"),
        ("rocky8-stig", "1:10: extends: expected ./FILE.yaml or one of lab-ai"),
        ("/etc/passwd", "1:10: extends: expected ./FILE.yaml or one of lab-ai"),
        ("[a, b]", "1:1: extends: expected a name, got a list"),
        ("./child.yaml", "extends: child.yaml is circular"),
    ],
)
def test_invalid_parent_is_reported(profile_file: Write, extends: str, problem: str) -> None:
    child = profile_file(f"extends: {extends}\nname: c\ntitle: C\n", "child.yaml")

    with pytest.raises(InputError) as caught:
        load_profile(child)

    assert problem in str(caught.value)


def test_circular_extends_is_rejected(profile_file: Write) -> None:
    profile_file("extends: ./b.yaml\nname: a\n", "a.yaml")
    path = profile_file("extends: ./a.yaml\nname: b\n", "b.yaml")

    with pytest.raises(InputError, match=r"b\.yaml is circular"):
        load_profile(path)


def test_extends_depth_is_limited(profile_file: Write) -> None:
    for i in range(10):
        profile_file(f"extends: ./p{i + 1}.yaml\nname: p{i}\n", f"p{i}.yaml")
    path = profile_file("name: p10\n", "p10.yaml").with_name("p0.yaml")

    with pytest.raises(InputError, match="more than 6 profiles deep"):
        load_profile(path)


def test_file_overrides_shipped_name_only_as_path(
    profile_file: Write, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = profile_file(good, "lab-stig")
    monkeypatch.chdir(path.parent)

    assert load_profile("lab-stig").name == "lab-stig"
    assert load_profile("./lab-stig").name == "good"


def test_json_schema_uses_file_keys() -> None:
    json_schema = profile_json_schema()

    assert json_schema["additionalProperties"] is False
    assert "disk_size" in json_schema["$defs"]["Storage"]["properties"]
    assert json_schema["$defs"]["Partition"]["required"] == ["mount", "size"]
    assert "description" in json_schema["$defs"]["Boot"]["properties"]["superuser"]


def test_ed25519_keys_are_accepted_without_fips_and_by_lab() -> None:
    line = "ssh-ed25519 AAAA"

    assert not is_key_accepted(line, fips=True, release="rocky9")
    assert is_key_accepted(line, fips=False, release="rocky9")
    assert is_key_accepted(line, fips=True, release="lab9")


def test_shipped_file_with_underscore_is_not_listed() -> None:
    assert shipped.find_shipped_profile("_rocky-stig") is None
    assert (shipped.PROFILES_DIR / "_rocky-stig.yaml").is_file()
