"""Source, groups and packages: what dnf is sent, and what its answers become."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from images.lab.installer import anaconda_text, dnf_transaction, payload, preparation, source
from images.lab.installer.comps import Comps
from images.lab.installer.console import InstallerConsole
from images.lab.installer.disks import InstallDisk
from images.lab.installer.layout import PartitionExtent
from images.lab.installer.payload import (
    BrokenSpecsError,
    DependencyError,
    MissingSpecsError,
    ResolvedSelection,
    TransactionError,
)
from images.lab.installer.plan import (
    InstallationSource,
    InstallError,
    MiB,
    PackageSelection,
    PartitionKind,
    PartitionSpec,
    Repository,
    SourceKind,
    StoragePlan,
)
from images.lab.installer.preparation import NonInteractiveError
from images.lab.installer.release import Release
from images.lab.installer.source import SourceError
from images.lab.installer.storage_configuration import DiskLayout

EL9 = Release(major=9, product="hardpan lab", version="9.0")
EL10 = Release(major=10, product="hardpan lab", version="10.0")
TREEINFO = """\
[general]
variant = BaseOS
[tree]
variants = AppStream,BaseOS,Debug
[variant-BaseOS]
repository = BaseOS
type = variant
[variant-AppStream]
repository = AppStream
type = variant
[variant-Debug]
repository = Debug
type = debuginfo
"""
COMPS = b"""\
<comps>
  <group><id>core</id><packagelist>
    <packagereq type="mandatory">bash</packagereq>
    <packagereq type="default">NetworkManager</packagereq>
    <packagereq type="optional">dracut-config-generic</packagereq>
    <packagereq type="conditional" requires="bash">bash-completion</packagereq>
    <packagereq type="conditional" requires="gdm">gnome-extra</packagereq>
  </packagelist></group>
  <environment><id>minimal-environment</id>
    <grouplist><groupid>core</groupid></grouplist>
    <optionlist><groupid>standard</groupid></optionlist>
  </environment>
</comps>
"""


class Console(InstallerConsole):
    """Keeps the lines instead of printing them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print_line(self, line: str) -> None:
        self.lines += line.split("\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / ".treeinfo").write_text(TREEINFO)
    for name in ("BaseOS", "AppStream"):
        (tmp_path / name / "repodata").mkdir(parents=True)
        (tmp_path / name / "repodata/repomd.xml").write_text("<repomd/>")
    return tmp_path


def test_repositories_are_the_enabled_variants_of_treeinfo(tree: Path) -> None:
    assert source.find_repositories(tree) == (
        Repository(name="anaconda", url=f"file://{tree}/BaseOS"),
        Repository(name="AppStream", url=f"file://{tree}/AppStream"),
    )


@pytest.mark.parametrize("name", ["BaseOS/repodata/repomd.xml", "AppStream/repodata/repomd.xml"])
def test_source_without_metadata_is_refused(tree: Path, name: str) -> None:
    (tree / name).unlink()

    with pytest.raises(SourceError, match=f"cannot read {tree / name}"):
        source.find_repositories(tree)


def test_tree_without_treeinfo_is_a_repository_itself(tree: Path) -> None:
    (tree / ".treeinfo").unlink()

    with pytest.raises(SourceError, match="repo anaconda: cannot read"):
        source.find_repositories(tree)
    assert source.find_repositories(tree / "BaseOS") == (
        Repository(name="anaconda", url=f"file://{tree}/BaseOS"),
    )


def test_kickstart_decides_the_installation_source(tree: Path) -> None:
    mounted: list[str] = []

    def mount(device: str, folder: Path) -> None:
        mounted.append(device)
        raise InstallError("no such device")

    url = InstallationSource(kind=SourceKind.URL, location=f"file://{tree}")
    assert source.locate_tree(url, mount) == tree
    assert mounted == []
    for bad_source in (
        InstallationSource(kind=SourceKind.URL, location="http://example.com/x"),
        InstallationSource(kind=SourceKind.NFS, location="host:/x"),
        InstallationSource(kind=SourceKind.HARDDRIVE, partition="sdx9", location="/x"),
        InstallationSource(kind=SourceKind.CDROM),
        None,
    ):
        with pytest.raises(SourceError):
            source.locate_tree(bad_source, mount)
    assert "/dev/sdx9" in mounted


def test_harddrive_source_is_the_iso_in_the_folder(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MOUNTS", tree)
    images = tree / "mount-0000-hdd-device/isos"
    images.mkdir(parents=True)
    (images / "dvd.iso").write_text("")
    mounted: list[tuple[str, Path]] = []
    harddrive = InstallationSource(kind=SourceKind.HARDDRIVE, partition="LABEL=X", location="/isos")

    result = source.locate_tree(harddrive, lambda *a: mounted.append(a))

    assert result == tree / "mount-0001-hdd-iso"
    assert mounted == [
        ("LABEL=X", tree / "mount-0000-hdd-device"),
        (str(images / "dvd.iso"), result),
    ]


def test_core_group_and_kernel_are_added_by_themselves() -> None:
    packages = PackageSelection(
        environment="minimal-environment",
        groups=("standard/mandatory",),
        install=("aide",),
        exclude=("telnet",),
        excluded_groups=("guest-agents",),
    )

    assert payload.list_specs(packages) == (
        ["@minimal-environment", "@core", "@standard/mandatory", "aide", "kernel"],
        ["@guest-agents", "telnet"],
    )


def test_nocore_and_an_excluded_kernel_are_left_out() -> None:
    packages = PackageSelection(core=False, exclude=("kernel",))

    assert payload.list_specs(packages) == ([], ["@core", "kernel"])


def test_request_names_repositories_release_and_macros() -> None:
    packages = PackageSelection(install=("aide",), docs=False, languages="de", ignore_missing=True)
    repositories = (Repository(name="anaconda", url="file:///x/BaseOS"),)

    request = payload.build_request(packages, repositories, EL10)

    assert request["repositories"] == [["anaconda", "file:///x/BaseOS"]]
    assert request["macros"] == [["_excludedocs", "1"], ["_install_langs", "de"]]
    assert (request["platform"], request["ignore_missing"]) == ("platform:el10", True)


def test_comps_expands_groups_and_environments() -> None:
    comps = Comps()
    comps.add(COMPS)

    assert comps.expand(["@minimal-environment", "aide"]) == (
        ["aide", "bash", "NetworkManager", "bash-completion"],
        [],
    )
    assert comps.expand(["@core/mandatory"]) == (["bash"], [])
    assert comps.expand(["@core/optional", "@nosuch"]) == (["dracut-config-generic"], ["@nosuch"])


class Base:
    """A dnf base whose repositories have the packages ``names``."""

    def __init__(self, *names: str) -> None:
        packages = [SimpleNamespace(name=name) for name in names]
        self.sack = SimpleNamespace(query=lambda: packages)


def test_group_is_expanded_to_packages_that_the_repositories_have() -> None:
    comps = Comps()
    comps.add(COMPS)
    specs = ["@core", "@nosuch", "aide"]

    assert dnf_transaction._expand_groups(Base("bash", "aide"), comps, specs) == (
        ["bash", "aide"],
        ["@nosuch"],
    )


def test_media_without_group_metadata_lacks_every_group() -> None:
    specs = ["@core", "bash"]

    assert dnf_transaction._expand_groups(Base("bash"), Comps(), specs) == (["bash"], ["@core"])


def test_comps_that_is_not_xml_is_an_error() -> None:
    with pytest.raises(ValueError, match="comps: "):
        Comps().add(b"<comps>")


SIZES = {"packages": 3, "install_bytes": 2**20 + 1, "download_bytes": 5, "image_bytes": 2**30}


def test_resolved_selection_has_sizes_in_mib() -> None:
    assert payload.resolve_tokens(iter([("resolved", json.dumps(SIZES))])) == ResolvedSelection(
        package_count=3, install_mib=MiB(2), download_mib=MiB(1), image_mib=MiB(1024)
    )


@pytest.mark.parametrize(
    ("tokens", "kind", "message"),
    [
        ([("missing", "m")], MissingSpecsError, "m"),
        ([("broken", "b")], BrokenSpecsError, "b"),
        ([("unresolved", "u")], DependencyError, "u"),
        ([("error", "e")], TransactionError, "e"),
        ([], TransactionError, "dnf ended without an answer"),
    ],
)
def test_selection_that_cannot_be_resolved_has_dnfs_reason(
    tokens: list[tuple[str, str]], kind: type[InstallError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        payload.resolve_tokens(iter(tokens))


TRANSACTION = (
    ("downloading", ""),
    ("preparing", ""),
    ("install", "aide.x86_64 (1/1)"),
    ("post", ""),
    ("configure", "aide.x86_64"),
    ("verify", "aide.x86_64 (1/1)"),
    ("quit", "DNF quit"),
)


@pytest.mark.parametrize(("release", "verified"), [(EL9, 1), (EL10, 0)])
def test_transaction_is_reported_with_anacondas_lines(release: Release, verified: int) -> None:
    console = Console()

    payload.report_tokens(iter(TRANSACTION), console, release)

    assert console.lines == [
        "Downloading packages",
        "Preparing transaction from installation source",
        "Installing aide.x86_64 (1/1)",
        "Performing post-installation setup tasks",
        "Configuring aide.x86_64",
        *["Verifying aide.x86_64 (1/1)"] * verified,
    ]


@pytest.mark.parametrize(
    ("release", "message"),
    [(EL9, "DNF error: no space"), (EL10, "An error occurred during the transaction: no space")],
)
def test_failed_transaction_has_the_releases_sentence(release: Release, message: str) -> None:
    with pytest.raises(TransactionError, match=message):
        payload.report_tokens(iter([("error", "no space")]), Console(), release)
    with pytest.raises(TransactionError, match="has ended up abruptly"):
        payload.report_tokens(iter([("install", "x (1/2)")]), Console(), release)


class FakeDnf(payload.DnfProcess):
    """Answers a request with tokens, without a process."""

    tokens: list[tuple[str, str]]

    def __init__(self, request: dict[str, object]) -> None:
        self.request = request

    def resolve(self) -> ResolvedSelection:
        return payload.resolve_tokens(iter(self.tokens))


def _resolve(
    tokens: list[tuple[str, str]], release: Release
) -> tuple[ResolvedSelection | None, NonInteractiveError | None, list[str]]:
    console, dnf = Console(), FakeDnf({})
    dnf.tokens = tokens
    selection, problem = preparation._resolve_software(dnf, release, console)
    return selection, problem, console.lines


MISSING = "Problems in request:\nmissing packages: nosuch\nmissing groups or modules: @nogroup"


def test_missing_package_ends_el_9_before_a_disk_is_touched() -> None:
    with pytest.raises(NonInteractiveError) as caught:
        _resolve([("missing", MISSING)], EL9)

    assert str(caught.value) == f"Non interactive installation failed: {MISSING}"


def test_missing_package_is_a_warning_of_el_10_until_it_is_installed() -> None:
    selection, problem, lines = _resolve([("missing", MISSING)], EL10)

    assert selection is None
    assert lines[0] == "Some packages, groups or modules are missing."
    assert "missing packages: nosuch" in lines
    assert str(problem).startswith("Non interactive installation failed: Some packages, groups")


@pytest.mark.parametrize(
    ("tokens", "release", "line"),
    [
        ([("broken", "x")], EL10, "Some packages, groups or modules are broken."),
        ([("unresolved", "x")], EL10, "The following software marked for installation has errors."),
        ([("unresolved", "x")], EL9, None),
    ],
)
def test_selection_that_stays_incomplete_leaves_the_spoke_incomplete(
    tokens: list[tuple[str, str]],
    release: Release,
    line: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preparation, "append_log", lambda *_: None)

    selection, problem, lines = _resolve(tokens, release)

    assert (selection, problem) == (None, None)
    assert lines[:1] == ([line] if line else [])


def test_space_is_checked_by_el_10_with_a_tenth_to_spare() -> None:
    root = PartitionSpec(kind=PartitionKind.FILESYSTEM, mount="/", fstype="xfs", size_mib=MiB(1000))
    disk = InstallDisk(path="/dev/vda", size_mib=MiB(2000))
    extent = PartitionExtent(number=1, start_mib=MiB(1), size_mib=MiB(1000), partition=root)
    storage = StoragePlan(
        disk=None, clear=(), only_use=(), ignore=(), partitions=(root,), groups=(), volumes=()
    )
    disk_layout = DiskLayout(storage=storage, disk=disk, cleared=(disk,), extents=(extent,))

    def selection(install: int) -> ResolvedSelection:
        return ResolvedSelection(
            package_count=1, install_mib=MiB(install), download_mib=MiB(1), image_mib=MiB(400)
        )

    preparation.require_space(selection(508), disk_layout)
    with pytest.raises(NonInteractiveError, match="An additional 1 MiB is needed"):
        preparation.require_space(selection(510), disk_layout)


def test_incomplete_spokes_are_listed() -> None:
    assert anaconda_text.render_incomplete_spokes(["Installation source"]) == (
        "The following mandatory spokes are not completed:\nInstallation source"
    )
