"""Loading, inheritance and the digest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from hardpan.errors import InputError
from hardpan.profiles import catalog
from hardpan.profiles.load import digest, load, schema
from hardpan.profiles.rules import key_works

Write = Callable[..., Path]


def test_sizes_are_kept_in_mib(profile_file: Write, good: str) -> None:
    profile = load(profile_file(good))

    assert profile.disk_size_mib == 60 * 1024
    assert profile.machine.memory_mib == 4096
    assert profile.storage.partitions[0].size_mib == 600


def test_a_profile_cannot_be_changed(profile_file: Write, good: str) -> None:
    profile = load(profile_file(good))

    with pytest.raises(ValidationError, match="frozen"):
        profile.fips = False  # type: ignore[misc]


def test_the_digest_does_not_see_comments_or_order(profile_file: Write, good: str) -> None:
    first = digest(load(profile_file(good)))
    moved = good.replace("fips: true\n", "") + "# a comment\nfips: true\n"

    assert digest(load(profile_file(moved))) == first


def test_the_digest_sees_a_changed_value(profile_file: Write, good: str) -> None:
    first = digest(load(profile_file(good)))

    assert digest(load(profile_file(good.replace("host1", "host2")))) != first


def test_a_child_merges_maps_and_replaces_lists(profile_file: Write, good: str) -> None:
    profile_file(good, "parent.yaml")
    child = profile_file(
        "extends: ./parent.yaml\nname: child\ntitle: Child\n"
        "packages: {install: [audit]}\nsystem: {timezone: Europe/Berlin}\n",
        "child.yaml",
    )

    profile = load(child)

    assert profile.packages.install == ("audit",)
    assert profile.packages.remove == ("vsftpd",)
    assert profile.system.hostname == "host1"
    assert profile.system.timezone == "Europe/Berlin"


def test_name_and_title_are_not_inherited(profile_file: Write, good: str) -> None:
    profile_file(good, "parent.yaml")
    child = profile_file("extends: ./parent.yaml\nfips: false\n", "child.yaml")

    with pytest.raises(InputError) as caught:
        load(child)

    assert [line.split(": ", 1)[1] for line in str(caught.value).splitlines()] == [
        "name: is missing",
        "title: is missing",
    ]


def test_a_problem_of_the_parent_is_told_at_the_parents_place(
    profile_file: Write, good: str
) -> None:
    parent = profile_file(good.replace("60 GiB", "60 GB"), "parent.yaml")
    child = profile_file("extends: ./parent.yaml\nname: c\ntitle: C\n", "child.yaml")

    with pytest.raises(InputError, match=r"parent\.yaml:8:14: storage\.disk_size") as caught:
        load(child)

    assert parent.name in str(caught.value)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("./missing.yaml", "1:10: extends: expected a file, found no"),
        ("rocky8-stig", "1:10: extends: expected ./FILE.yaml or one of lab-ai"),
        ("/etc/passwd", "1:10: extends: expected ./FILE.yaml or one of lab-ai"),
        ("[a, b]", "1:1: extends: expected a name, found a list"),
        ("./child.yaml", "extends: child.yaml leads back to itself"),
    ],
)
def test_a_wrong_parent_is_told(profile_file: Write, said: str, problem: str) -> None:
    child = profile_file(f"extends: {said}\nname: c\ntitle: C\n", "child.yaml")

    with pytest.raises(InputError) as caught:
        load(child)

    assert problem in str(caught.value)


def test_a_circle_of_parents_ends_with_an_error(profile_file: Write) -> None:
    profile_file("extends: ./b.yaml\nname: a\n", "a.yaml")
    path = profile_file("extends: ./a.yaml\nname: b\n", "b.yaml")

    with pytest.raises(InputError, match=r"b\.yaml leads back to itself"):
        load(path)


def test_a_chain_of_parents_has_an_end(profile_file: Write) -> None:
    for i in range(10):
        profile_file(f"extends: ./p{i + 1}.yaml\nname: p{i}\n", f"p{i}.yaml")
    path = profile_file("name: p10\n", "p10.yaml").with_name("p0.yaml")

    with pytest.raises(InputError, match="more than 6 profiles deep"):
        load(path)


def test_a_file_wins_over_a_shipped_name_only_as_a_path(
    profile_file: Write, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = profile_file(good, "lab-stig")
    monkeypatch.chdir(path.parent)

    assert load("lab-stig").name == "lab-stig"
    assert load("./lab-stig").name == "good"


def test_the_schema_speaks_the_words_of_the_file() -> None:
    found = schema()

    assert found["additionalProperties"] is False
    assert "disk_size" in found["$defs"]["Storage"]["properties"]
    assert found["$defs"]["Partition"]["required"] == ["mount", "size"]
    assert "description" in found["$defs"]["Boot"]["properties"]["superuser"]


def test_ed25519_keys_are_for_systems_without_fips_and_for_the_lab() -> None:
    line = "ssh-ed25519 AAAA"

    assert not key_works(line, fips=True, release="rocky9")
    assert key_works(line, fips=False, release="rocky9")
    assert key_works(line, fips=True, release="lab9")


def test_a_shipped_file_with_an_underscore_is_no_profile() -> None:
    assert catalog.path("_rocky-stig") is None
    assert (catalog.HERE / "_rocky-stig.yaml").is_file()
