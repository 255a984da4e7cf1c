"""Install media are compared with profiles by their content: complete, incomplete and hostile."""

import functools
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.media import sources
from hardpan.builder.media.package_check import MediaPackages, compare_packages
from hardpan.builder.media.repositories import MediaKind, read_media_content
from hardpan.core.errors import HardpanError, InputError, TrustError
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.profile import Profile
from tests.integration import rocky_dvd, tiny_media
from tests.integration.rocky_dvd import RockyDvd

pytestmark = pytest.mark.integration

ROCKY_PROFILES = [name for name in shipped_profiles() if name.startswith("rocky")]
MODULE = "@nodejs:18"
_SEED = 14
_REMOVED_COUNT = 20


@functools.cache
def complete_dvd(major: int) -> RockyDvd:
    return rocky_dvd.complete_dvd(major)


def major_of(name: str) -> int:
    return int(load_profile(name).release.removeprefix("rocky"))


def compare(dvd: RockyDvd, workdir: Path, profile: Profile) -> MediaPackages:
    return compare_packages(profile, read_media_content(rocky_dvd.write_iso(dvd, workdir)))


def with_packages(profile: Profile, *names: str) -> Profile:
    packages = profile.packages.model_copy(update={"install": (*profile.packages.install, *names)})
    return profile.model_copy(update={"packages": packages})


def removals() -> list[tuple[str, str]]:
    """20 things that rocky9-stig installs: group, environment, module, members and packages."""
    dvd, profile = complete_dvd(9), load_profile("rocky9-stig")
    chosen = [
        ("group", "core"),
        ("environment", "minimal-environment"),
        ("stream", "nodejs:18"),
        ("package", "kernel"),
        ("package", "shim-x64"),
    ]
    generator = random.Random(_SEED)  # noqa: S311 - no secret
    mandatory = [name for kind, name in dvd.groups["core"] if kind == "mandatory"]
    requested = [name for name in profile.install_packages if not name.startswith("@")]
    only_members = sorted(set(mandatory) - set(requested))
    chosen += [("package", name) for name in generator.sample(only_members, 5)]
    chosen += [("package", name) for name in generator.sample(requested, 10)]
    return chosen


def remove(dvd: RockyDvd, kind: str, name: str) -> RockyDvd:
    if kind == "stream":
        module, _, stream = name.partition(":")
        return dvd.without_stream(module, stream)
    removed: RockyDvd = getattr(dvd, f"without_{kind}")(name)
    return removed


@pytest.mark.parametrize("name", ROCKY_PROFILES)
def test_complete_dvd_lacks_nothing(tmp_path: Path, name: str) -> None:
    packages = compare(complete_dvd(major_of(name)), tmp_path, load_profile(name))

    assert packages.missing == ()
    assert len(packages.base.requested) > 90
    assert len(packages.base.dependencies) > 200
    assert packages.base.installed_bytes > packages.base.download_bytes > 300 << 20


def test_every_rocky_profile_is_compared() -> None:
    assert len(ROCKY_PROFILES) == 10
    assert len(set(removals())) == _REMOVED_COUNT


@pytest.mark.parametrize(("kind", "name"), removals())
def test_each_removed_item_is_reported(tmp_path: Path, kind: str, name: str) -> None:
    dvd = remove(complete_dvd(9), kind, name)

    packages = compare(dvd, tmp_path, with_packages(load_profile("rocky9-stig"), MODULE))

    assert name in {item.name for item in packages.fatal}


def test_all_missing_packages_are_reported_with_nearest_names(tmp_path: Path) -> None:
    dvd = complete_dvd(9).without_package("fapolicyd").without_package("sssd")
    profile = with_packages(load_profile("rocky9-stig"), "NetworkManger", "smtpdd")

    packages = compare(dvd, tmp_path, profile)

    assert [str(item) for item in packages.missing] == [
        "package fapolicyd; nearest: fapolicyd-selinux",
        "package sssd; nearest: sssd-ad",
        "package NetworkManger; nearest: NetworkManager, NetworkManager-tui, NetworkManager-wwan",
        "package smtpdd; nearest: postfix",
    ]


def test_missing_default_member_of_group_does_not_prevent_build(tmp_path: Path) -> None:
    """Anaconda installs a group without members that no repository has."""
    dvd = complete_dvd(9).without_package("lsscsi")

    packages = compare(dvd, tmp_path, load_profile("rocky9-stig"))

    assert [(item.name, item.is_fatal) for item in packages.missing] == [("lsscsi", False)]


@pytest.mark.parametrize(
    "spec", ["bash.x86_64", "bash-1.0", "bash-1.0-1.el9", "bash-0:1.0-1.el9.x86_64", "grub2"]
)
def test_names_are_matched_as_dnf_does(tmp_path: Path, spec: str) -> None:
    """A provide counts, too: Anaconda itself requests grub2."""
    profile = load_profile("rocky9-stig")
    packages = profile.packages.model_copy(update={"install": (spec,)})

    result = compare(complete_dvd(9), tmp_path, profile.model_copy(update={"packages": packages}))

    assert result.missing == ()
    assert {rpm.name for rpm in result.base.requested} >= {"bash" if "bash" in spec else "grub2-pc"}


def test_package_of_disabled_module_stream_is_missing(tmp_path: Path) -> None:
    profile = with_packages(load_profile("rocky9-stig"), "maven")

    (item,) = compare(complete_dvd(9), tmp_path, profile).missing
    enabled = compare(complete_dvd(9), tmp_path / "2", with_packages(profile, "@maven:3.8"))

    assert str(item).startswith(
        "package maven: only in the module streams maven:3.8, which are not enabled"
    )
    assert enabled.missing == ()


def test_module_is_missing_on_el10(tmp_path: Path) -> None:
    profile = with_packages(load_profile("rocky10-stig"), MODULE)

    assert [str(item) for item in compare(complete_dvd(10), tmp_path, profile).missing] == [
        "module nodejs:18"
    ]


def test_requirement_of_requested_package_is_checked(tmp_path: Path) -> None:
    profile = with_packages(load_profile("rocky9-stig"), "sos")
    packages = profile.packages.model_copy(update={"remove": ("python3-libxml2",)})

    removed = compare(complete_dvd(9).without_package("python3-libxml2"), tmp_path, profile)
    excluded = compare(
        complete_dvd(9), tmp_path / "2", profile.model_copy(update={"packages": packages})
    )

    assert [str(item) for item in removed.fatal] == ["requirement python3-libxml2 (sos)"]
    assert [str(item) for item in excluded.fatal] == [
        "requirement python3-libxml2 (sos): the profile removes python3-libxml2"
    ]


@pytest.mark.parametrize(
    ("repositories", "kind", "problem"),
    [
        (("BaseOS", "minimal"), MediaKind.MINIMAL, "got only BaseOS, minimal; a minimal ISO lacks"),
        ((), MediaKind.BOOT, "got a boot ISO, which has none"),
    ],
)
def test_minimal_and_boot_iso_are_refused_despite_their_label(
    tmp_path: Path, repositories: tuple[str, ...], kind: MediaKind, problem: str
) -> None:
    iso = rocky_dvd.write_iso(complete_dvd(9), tmp_path, repositories=repositories)

    assert read_media_content(iso).kind is kind
    with pytest.raises(InputError, match=problem) as caught:
        sources.find_local("rocky9", file=iso, cache=tmp_path)
    assert caught.value.hint == "the profile uses Rocky Linux 9 DVD"


def test_iso_without_description_is_a_boot_iso(tmp_path: Path) -> None:
    iso = tiny_media.make_el10_iso(tmp_path, "Rocky-9-8-x86_64-dvd")

    with pytest.raises(InputError, match="got a boot ISO"):
        sources.find_local("rocky9", file=iso, cache=tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"major": 10}, "expected Rocky Linux 9 x86_64, got Rocky Linux 10.2 x86_64"),
        ({"family": "AlmaLinux"}, "expected Rocky Linux 9 x86_64, got AlmaLinux 9.8 x86_64"),
        ({"arch": "aarch64"}, "expected Rocky Linux 9 x86_64, got Rocky Linux 9.8 aarch64"),
    ],
)
def test_other_distribution_is_refused_by_content(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    fields = {"major": 9, "family": "Rocky Linux", "arch": "x86_64", **change}
    dvd = rocky_dvd.replace(complete_dvd(9), **fields)

    with pytest.raises(InputError, match=problem):
        sources.find_local("rocky9", file=rocky_dvd.write_iso(dvd, tmp_path), cache=tmp_path)


@pytest.mark.parametrize("compression", ["gz", "xz", "zst", ""])
def test_lists_of_every_compression_are_read(tmp_path: Path, compression: str) -> None:
    iso = rocky_dvd.write_iso(complete_dvd(10), tmp_path, compression=compression)

    content = read_media_content(iso)

    assert compare_packages(load_profile("rocky10-stig"), content).missing == ()
    assert [r.id for r in content.repositories] == ["AppStream", "BaseOS"]


def test_metadata_of_createrepo_is_read(tmp_path: Path) -> None:
    """createrepo_c with groups and its own default compression, for a repository without RPMs."""

    def change(tree: Path) -> None:
        comps = next((tree / "BaseOS/repodata").glob("*comps*"))
        (tree / "comps.xml").write_bytes(comps.read_bytes())
        for repository in ("BaseOS", "AppStream"):
            run(["rm", "-r", tree / repository / "repodata"], timeout_s=20)
            argv = ["createrepo_c", "-q", "--groupfile", tree / "comps.xml", tree / repository]
            run(argv, timeout_s=60)

    content = read_media_content(rocky_dvd.write_iso(complete_dvd(9), tmp_path, change=change))

    assert content.kind is MediaKind.DVD
    assert content.comps.find_environment("minimal-environment") is not None
    assert {r.package_count for r in content.repositories} == {0}
    assert len(content.comps.groups) == len(complete_dvd(9).groups)


def primary_of(tree: Path) -> Path:
    return next((tree / "AppStream/repodata").glob("*primary*"))


def edit_repomd(old: str, new: str) -> Callable[[Path], object]:
    def change(tree: Path) -> None:
        path = tree / "AppStream/repodata/repomd.xml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return change


def replace_primary(data: bytes) -> Callable[[Path], object]:
    """Replace the list of packages, with its true digest."""

    def change(tree: Path) -> None:
        old = primary_of(tree)
        edit_repomd(old.name.partition("-")[0], rocky_dvd.sha256_bytes(data))(tree)
        old.rename(old.with_name(f"{rocky_dvd.sha256_bytes(data)}-primary.xml.gz"))
        old.with_name(f"{rocky_dvd.sha256_bytes(data)}-primary.xml.gz").write_bytes(data)

    return change


def link_primary(tree: Path) -> None:
    primary_of(tree).unlink()
    (tree / "AppStream/repodata" / "x").symlink_to("/etc/passwd")
    edit_repomd("repodata/", "repodata/x/../")(tree)


HOSTILE = {
    "truncated": (lambda t: primary_of(t).write_bytes(primary_of(t).read_bytes()[:1000]),
                  TrustError, "AppStream: repodata/.* expected sha256"),
    "truncated-with-digest": (replace_primary(b"\x1f\x8b\x08\0"), InputError, "is truncated"),
    "no-gzip": (replace_primary(b"nothing"), InputError, "is damaged"),
    "missing": (lambda t: primary_of(t).unlink(), InputError, "no such file on the ISO"),
    "absolute": (edit_repomd('href="repodata/', 'href="/etc/'), InputError, "inside of the repos"),
    "parent": (edit_repomd('href="', 'href="../BaseOS/'), InputError, "inside of the repository"),
    "link": (link_primary, InputError, "inside of the repository"),
    "md5": (edit_repomd('"sha256"', '"md5"'), InputError, "expected one of sha256"),
    "format": (edit_repomd("primary.xml.gz", "primary.xml.bz2"), InputError, "no such file on"),
    "description": (lambda t: (t / ".treeinfo").write_bytes(b"\xff\0"), InputError, "description"),
    "variant": (lambda t: (t / ".treeinfo").write_text(
        (t / ".treeinfo").read_text().replace("repository = BaseOS", "repository = ../x")),
        InputError, "expected a repository inside of the media"),
    "architecture": (lambda t: (t / ".discinfo").write_text("1\nRocky\naarch64\n"),
                     InputError, "expected x86_64, as in /.treeinfo, got aarch64"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_damaged_metadata_is_refused(tmp_path: Path, case: str) -> None:
    change, kind, problem = HOSTILE[case]
    iso = rocky_dvd.write_iso(complete_dvd(9), tmp_path, change=change)

    with pytest.raises(HardpanError, match=problem) as caught:
        read_media_content(iso)

    assert type(caught.value) is kind


def test_list_that_unpacks_to_more_than_200_mib_is_refused(tmp_path: Path) -> None:
    head = b"<metadata xmlns='http://linux.duke.edu/metadata/common'>"
    package = (
        b"<package><name>a</name><version ver='1'/><description>"
        + b" " * (8 << 20)
        + b"</description></package>"
    )
    bomb = rocky_dvd.gzip.compress(head + package * 26 + b"</metadata>", 1, mtime=0)
    iso = rocky_dvd.write_iso(complete_dvd(9), tmp_path, change=replace_primary(bomb))

    with pytest.raises(InputError, match="expected at most 209715200 bytes unpacked, got more"):
        read_media_content(iso)


def test_inspect_prints_and_reports_missing_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    iso = rocky_dvd.write_iso(complete_dvd(10).without_package("aide"), tmp_path)

    code = cli.run(["media", "inspect", str(iso)])
    lines = capsys.readouterr().out.splitlines()
    json_code = cli.run(["media", "inspect", str(iso), "--profile", "rocky10-stig", "--json"])
    result = json.loads(capsys.readouterr().out)

    assert code == json_code == 1
    assert lines[:3] == [
        "kind          dvd",
        "distribution  Rocky Linux 10.2 x86_64",
        "label         Rocky-10-2-x86_64-dvd",
    ]
    assert [line.partition(":")[0] for line in lines if line.endswith("1 missing")] == [
        name for name in ROCKY_PROFILES if name.startswith("rocky10")
    ]
    assert lines[-1].partition(";")[0] == "  MISSING package aide"
    (profile,) = result["profiles"]
    assert [(m["kind"], m["name"], m["prevents_build"]) for m in profile["missing"]] == [
        ("package", "aide", True)
    ]
    assert result["distribution"] == {
        "family": "Rocky Linux",
        "version": "10.2",
        "arch": "x86_64",
    }


@pytest.mark.parametrize("arguments", [["media", "inspect"], ["check", "rocky9-stig", "--media"]])
def test_unusable_iso_exits_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    iso = rocky_dvd.write_iso(complete_dvd(9), tmp_path, repositories=("BaseOS",))

    assert cli.run([*arguments, str(iso)]) == 3
    assert "a minimal ISO lacks packages" in capsys.readouterr().err


def test_check_reports_all_missing_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dvd = complete_dvd(9).without_package("aide").without_group("core")
    iso = rocky_dvd.write_iso(dvd, tmp_path)

    assert cli.run(["check", "rocky9-stig", "--media", str(iso)]) == 3

    errors = capsys.readouterr().err
    assert "missing on tiny10.iso: group core" in errors
    assert "missing on tiny10.iso: package aide" in errors


def test_dry_run_reports_all_missing_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dvd = complete_dvd(9).without_package("aide").without_package("usbguard")
    iso = rocky_dvd.write_iso(dvd, tmp_path)
    options = ["--dry-run", "--json", "-q", "--cache", str(tmp_path / "cache")]

    code = cli.run(["build", "rocky9-stig", "--as", "iso", "--media", str(iso), *options])

    plan = json.loads(capsys.readouterr().out)
    assert code == 3
    messages = [p["message"].partition("on tiny10.iso: ")[2] for p in plan["problems"]]
    assert [message.partition(";")[0] for message in messages] == [
        "package aide",
        "package usbguard",
    ]
