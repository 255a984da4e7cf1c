import pytest

from hardpan.errors import InputError
from images.lab.dpkg import DebPackage
from images.lab.plan import closure, groups, plan, rpm_version
from images.lab.recipe import Recipe


def deb(name: str, depends: tuple[tuple[str, ...], ...] = (), **more: object) -> DebPackage:
    facts = {"version": "1.0-2", "architecture": "amd64", "summary": name, **more}
    return DebPackage(name=name, depends=depends, **facts)  # type: ignore[arg-type]


def recipe(**changes: object) -> Recipe:
    empty: dict[str, object] = {
        "release": "9.0",
        "suite": "trixie",
        "volume_label": "LAB",
        **dict.fromkeys(("install", "left_out", "base", "remove", "ghosts", "config"), ()),
        **{k: {} for k in ("packages", "meta", "provides", "moves", "links", "folders", "owners")},
    }
    return Recipe.model_validate(empty | changes)


@pytest.mark.parametrize(
    ("debian", "epoch", "version", "release"),
    [
        ("1:9.18.2~rc1-4+b1", 1, "9.18.2~rc1", "4+b1.lab9"),
        ("6.12.107-1", 0, "6.12.107", "1.lab9"),
        ("2024a", 0, "2024a", "1.lab9"),
        ("1.0-2-3", 0, "1.0.2", "3.lab9"),
        ("2:1.2:3-4", 2, "1.2.3", "4.lab9"),
    ],
)
def test_a_debian_version_becomes_legal_for_rpm(
    debian: str, epoch: int, version: str, release: str
) -> None:
    found = rpm_version(debian, "9.0")

    assert (found.epoch, found.version, found.release) == (epoch, version, release)


def test_packages_are_merged_and_the_unnamed_keep_their_names() -> None:
    r = recipe(packages={"audit": ["auditd", "audit-extra"]}, left_out=["dpkg"])

    assert groups(r, ["auditd", "audit-extra", "dpkg", "zstd"]) == {
        "audit": ("auditd", "audit-extra"),
        "zstd": ("zstd",),
    }


def test_dependencies_are_translated_and_what_is_not_carried_is_dropped() -> None:
    r = recipe(packages={"audit": ["auditd"], "audit-libs": ["libaudit1"]}, left_out=["dpkg"])
    depends = (("libaudit1",), ("dpkg",), ("gone", "awk"), ("auditd",))
    found = plan(r, [deb("auditd", depends), deb("libaudit1"), deb("dpkg"),
                     deb("mawk", provides=("awk",))])  # fmt: skip

    assert found["audit"].requires == ("audit-libs", "mawk")
    assert found["audit"].provides == ("auditd",)
    assert "dpkg" not in found


def test_a_debian_package_in_two_el_packages_is_refused() -> None:
    with pytest.raises(InputError, match="libx is in a and in b"):
        groups(recipe(packages={"a": ["libx"], "b": ["libx"]}), ["libx"])


def test_an_el_name_that_hides_a_debian_package_is_refused() -> None:
    with pytest.raises(InputError, match="p11-kit is a Debian package"):
        groups(recipe(packages={"p11-kit": ["libp11-kit0"]}), ["libp11-kit0", "p11-kit"])


def test_the_base_is_closed_under_requirements() -> None:
    r = recipe(base=["a"])
    found = plan(r, [deb("a", (("b",),)), deb("b"), deb("c")])

    assert closure(r, found) == {"a", "b"}


def test_a_base_package_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match="no such packages: nope"):
        closure(recipe(base=["nope"]), {})
