import pytest

from hardpan.core.errors import InputError
from images.lab.dpkg import DebPackage
from images.lab.media_definition import MediaDefinition
from images.lab.plan import compute_closure, group_packages, plan_packages, to_rpm_version


def make_deb(name: str, depends: tuple[tuple[str, ...], ...] = (), **more: object) -> DebPackage:
    facts = {"version": "1.0-2", "architecture": "amd64", "summary": name, **more}
    return DebPackage(name=name, depends=depends, **facts)  # type: ignore[arg-type]


def make_definition(**changes: object) -> MediaDefinition:
    empty: dict[str, object] = {
        "suite": "trixie",
        "releases": {},
        **dict.fromkeys(("install", "excluded", "base", "installer_only", "remove"), ()),
        **dict.fromkeys(("ghosts", "config"), ()),
        **{k: {} for k in ("packages", "meta", "provides", "moves", "links", "folders", "owners")},
    }
    release = {
        "release": "9.0",
        "volume_label": "LAB",
        "modules": True,
        "excluded": (),
        "remove": (),
    }
    return MediaDefinition.model_validate(empty | {"releases": {"9": release}} | changes)


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
def test_debian_version_becomes_valid_rpm_version(
    debian: str, epoch: int, version: str, release: str
) -> None:
    result = to_rpm_version(debian, "9.0")

    assert (result.epoch, result.version, result.release) == (epoch, version, release)


def test_group_packages_merges_named_and_keeps_other_names() -> None:
    definition = make_definition(packages={"audit": ["auditd", "audit-extra"]}, excluded=["dpkg"])

    assert group_packages(definition, ["auditd", "audit-extra", "dpkg", "zstd"]) == {
        "audit": ("auditd", "audit-extra"),
        "zstd": ("zstd",),
    }


def test_plan_translates_dependencies_and_drops_excluded_packages() -> None:
    definition = make_definition(
        packages={"audit": ["auditd"], "audit-libs": ["libaudit1"]}, excluded=["dpkg"]
    )
    depends = (("libaudit1",), ("dpkg",), ("gone", "awk"), ("auditd",))
    debs = [
        make_deb("auditd", depends),
        make_deb("libaudit1"),
        make_deb("dpkg"),
        make_deb("mawk", provides=("awk",)),
    ]
    result = plan_packages(definition, debs)

    assert result["audit"].requires == ("audit-libs", "mawk")
    assert result["audit"].provides == ("auditd",)
    assert "dpkg" not in result


def test_debian_package_in_two_el_packages_is_refused() -> None:
    with pytest.raises(InputError, match="libx is in a and in b"):
        group_packages(make_definition(packages={"a": ["libx"], "b": ["libx"]}), ["libx"])


def test_el_name_equal_to_unlisted_debian_package_is_refused() -> None:
    with pytest.raises(InputError, match="p11-kit is a Debian package"):
        group_packages(
            make_definition(packages={"p11-kit": ["libp11-kit0"]}), ["libp11-kit0", "p11-kit"]
        )


def test_base_closure_includes_requirements() -> None:
    debs = [make_deb("a", (("b",),)), make_deb("b"), make_deb("c")]
    result = plan_packages(make_definition(), debs)

    assert compute_closure(["a"], result, setting="base") == {"a", "b"}


def test_missing_base_package_is_named() -> None:
    with pytest.raises(InputError, match="base: no such packages: nope"):
        compute_closure(["nope"], {}, setting="base")
