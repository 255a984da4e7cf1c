"""Stacks for real: wheels off an index, one signed RPM, a booted lab host that runs it."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.builder import stacks
from hardpan.builder.layers import registry as layers
from hardpan.builder.receipts import Assessment, LayerReceipt
from hardpan.builder.stacks import signing
from hardpan.builder.stacks.locks import SHIPPED
from hardpan.errors import InputError, ToolError, TrustError
from hardpan.events import silent
from hardpan.files import Sha256, sha256_file
from hardpan.process import run
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from tests.integration.conftest import CACHE
from tests.integration.lab_host import LabHost

pytestmark = pytest.mark.integration

# Pure, native, and one that another needs.
NAMES = ("markupsafe", "typing-extensions", "typing-inspection")
NOTHING = Assessment(content_sha256=Sha256("0" * 64), counts={}, remedies=())
PYTHON = "/opt/ai/stacks/tiny/bin/python3"


def lock_of(*names: str) -> str:
    """The entries of the shipped lock for some packages."""
    text = (SHIPPED / "ai-serving.lock").read_text("utf-8")
    entries = [e for e in text.replace(" \\\n", " ").splitlines() if e.split("==")[0] in names]
    assert len(entries) == len(names)
    return "\n".join(entries) + "\n"


def profile_of(folder: Path, lock: str, more: str = "") -> Profile:
    """The lab's profile with one small stack."""
    (folder / "tiny.lock").write_text(lock, "utf-8")
    path = folder / "tiny.yaml"
    path.write_text(
        "extends: lab-stig\nname: tiny\ntitle: A tiny stack\nlayers: [ml_frameworks]\n"
        "frameworks:\n  stacks:\n    - name: tiny\n      packages: [typing-inspection]\n"
        f"      lock: ./tiny.lock\n      python: '3.13'\n{more}",
        "utf-8",
    )
    return load(path)


@dataclass(frozen=True)
class Bed:
    """A built stack and what it came from."""

    profile: Profile
    cache: Path
    built: stacks.Built

    @property
    def wheels(self) -> Path:
        """Its wheels, as they were downloaded."""
        (folder,) = (self.cache / "wheelhouse").glob("tiny-*")
        return folder


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    folder = tmp_path_factory.mktemp("frameworks")
    profile = profile_of(folder, lock_of(*NAMES))
    cache = folder / "cache"
    cache.mkdir()
    for model in CACHE.glob("model-*"):
        (cache / model.name).symlink_to(model)
    (built,) = stacks.build(profile, cache, silent)
    return Bed(profile=profile, cache=cache, built=built)


def apply(bed: Bed, host: LabHost) -> LayerReceipt:
    (made,) = layers.apply(bed.profile, host.guest, NOTHING, cache=bed.cache, emit=silent)
    return made


def test_the_stack_runs_on_the_host_and_the_second_run_changes_nothing(
    bed: Bed, host: LabHost
) -> None:
    first = apply(bed, host)
    second = apply(bed, host)

    assert first.changed > 0
    assert second.changed == 0
    (receipt,) = second.stacks
    assert [w.name for w in receipt.wheels] == list(NAMES)
    told = host.run(
        f"cd / && {PYTHON} -c 'import sys, markupsafe._speedups, typing_inspection as t;"
        " print(t.__file__, sys.prefix, sys.base_prefix, sys.flags.isolated)'"
    ).stdout.split()
    assert told[0].startswith("/opt/ai/stacks/tiny/lib/python3.13/site-packages/")
    assert told[1:3] == ["/opt/ai/stacks/tiny", "/usr"]
    # What ran wrote nothing: each file below /opt/ai/stacks is a package's, and as it was packed.
    assert host.run("rpm -V hardpan-ai-tiny").stdout == ""
    nobodys = "find /opt/ai/stacks -print0 | xargs -0 rpm -qf | grep -v ^hardpan-ai- || true"
    assert host.run(nobodys).stdout == ""
    assert "Key ID" in host.run("rpm -qi hardpan-ai-tiny").stdout
    assert host.run("readlink -f " + PYTHON).stdout == "/usr/bin/python3.13\n"
    assert host.run("cat /etc/hardpan/ai.env").stdout.count("HF_HUB_OFFLINE=1\n") == 1
    assert host.run("stat -c %U:%G:%a /var/lib/ai/jit").stdout == "ai:ai:750\n"
    # What was tampered with is put right again.
    host.run("echo x >> /opt/ai/stacks/tiny/pyvenv.cfg; echo x >> /etc/hardpan/ai.env")
    assert apply(bed, host).changed > 0
    assert host.run("rpm -V hardpan-ai-tiny").stdout == ""
    assert apply(bed, host).changed == 0


def test_an_rpm_that_the_site_did_not_sign_is_not_installed(
    bed: Bed, host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for name, spoil in (("unsigned", _unsigned), ("tampered", _tampered)):
        rpm = tmp_path / f"{name}.rpm"
        shutil.copyfile(bed.built.rpm, rpm)
        spoil(rpm)
        with pytest.raises(TrustError, match="expected the site's signature"):
            signing.check(rpm, stacks.site(bed.cache))
        shown = stacks.Built(rpm=rpm, receipt=bed.built.receipt)
        monkeypatch.setattr(stacks, "build", lambda *_, shown=shown: (shown,))
        with pytest.raises(Exception, match="Install the RPMs with their signatures") as caught:
            apply(bed, host)
        said.append(caught.value.tail)  # type: ignore[attr-defined]

    assert all("not signed by the site, or not whole" in text for text in said)
    assert host.run("rpm -q hardpan-ai-tiny", ok=(1,)).stdout.endswith("is not installed\n")


def _unsigned(rpm: Path) -> None:
    run(["rpmsign", "--delsign", rpm], timeout_s=60)


def _tampered(rpm: Path) -> None:
    data = bytearray(rpm.read_bytes())
    data[-200] ^= 1
    rpm.write_bytes(data)


def test_the_same_inputs_give_the_same_package(bed: Bed, tmp_path: Path) -> None:
    again = tmp_path / "cache"
    again.mkdir()
    shutil.copytree(bed.cache / "package-key", again / "package-key")

    (built,) = stacks.build(bed.profile, again, silent)

    assert built.receipt.header_sha256 == bed.built.receipt.header_sha256


def test_what_is_unchanged_comes_out_of_the_cache(bed: Bed) -> None:
    before = bed.built.rpm.stat()

    (again,) = stacks.build(bed.profile, bed.cache, silent)

    assert again == bed.built
    assert again.rpm.stat().st_mtime_ns == before.st_mtime_ns


def test_a_whole_folder_is_enough_without_an_index(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/nothing")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    given = tmp_path / "wheels"
    shutil.copytree(bed.wheels, given)
    profile = profile_of(tmp_path, lock_of(*NAMES), f"      wheelhouse: {given}\n")

    (built,) = stacks.build(profile, tmp_path / "cache", silent)

    assert [w.sha256 for w in built.receipt.wheels] == [w.sha256 for w in bed.built.receipt.wheels]


def test_a_folder_that_lacks_wheels_is_told_once_with_all_of_them(bed: Bed, tmp_path: Path) -> None:
    given = tmp_path / "wheels"
    shutil.copytree(bed.wheels, given)
    for name in ("markupsafe", "typing_inspection"):
        next(given.glob(f"{name}-*")).unlink()
    profile = profile_of(tmp_path, lock_of(*NAMES), f"      wheelhouse: {given}\n")

    with pytest.raises(InputError) as caught:
        stacks.build(profile, tmp_path / "cache", silent)

    assert str(caught.value) == (
        f"{given}: expected every locked file, found none for 2 of 3:"
        " markupsafe 3.0.4, typing-inspection 0.4.5"
    )
    assert not (tmp_path / "cache/wheelhouse").exists()


def test_a_folder_with_another_file_of_that_name_is_not_trusted(bed: Bed, tmp_path: Path) -> None:
    given = tmp_path / "wheels"
    shutil.copytree(bed.wheels, given)
    with next(given.glob("markupsafe-*")).open("ab") as f:
        f.write(b"x")
    profile = profile_of(tmp_path, lock_of(*NAMES), f"      wheelhouse: {given}\n")

    with pytest.raises(TrustError, match=r"markupsafe 3\.0\.4: expected a digest that the lock"):
        stacks.build(profile, tmp_path / "cache", silent)


def test_a_download_with_another_digest_is_not_trusted(tmp_path: Path) -> None:
    lock = "typing-inspection==0.4.5 --hash=sha256:" + "0" * 64 + "\n"
    profile = profile_of(tmp_path, lock)

    with pytest.raises(TrustError, match="tiny: a downloaded file is not the locked one"):
        stacks.build(profile, tmp_path / "cache", silent)

    assert list((tmp_path / "cache").glob("wheelhouse/*")) == []


def test_a_locked_wheel_that_is_not_safe_to_unpack_ends_the_build(tmp_path: Path) -> None:
    given = tmp_path / "wheels"
    given.mkdir()
    evil = given / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(evil, "w") as archive:
        info = "evil-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr("../../../etc/evil.py", "")
    lock = f"evil==1.0 --hash=sha256:{sha256_file(evil)}\n"
    profile = profile_of(tmp_path, lock, f"      wheelhouse: {given}\n")

    with pytest.raises(TrustError, match=r"tiny: evil-1\.0-py3-none-any\.whl: not safe to unpack"):
        stacks.build(profile, tmp_path / "cache", silent)

    assert list((tmp_path / "cache/stacks").glob("*")) == []


DIGEST = "49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491"
SOURCE = f"docopt==0.6.2 --hash=sha256:{DIGEST}\n"
"""A package of 2014 that was never published as a wheel."""


def test_what_is_published_as_source_alone_is_built_once(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, SOURCE, "      sources: [{name: docopt}]\n")

    (built,) = stacks.build(profile, tmp_path / "cache", silent)

    (wheel,) = built.receipt.wheels
    (made,) = (tmp_path / "cache/sources").glob("docopt-*/*.whl")
    assert wheel.source_sha256 == DIGEST
    assert wheel.sha256 == sha256_file(made) != wheel.source_sha256
    packed = run(["rpm", "-qpl", "--nosignature", built.rpm], timeout_s=30).stdout
    assert "/opt/ai/stacks/tiny/lib/python3.13/site-packages/docopt.py\n" in packed


def test_a_source_is_not_built_where_nobody_said_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="tiny: no wheels"):
        stacks.build(profile_of(tmp_path, SOURCE), tmp_path / "cache", silent)


def test_a_source_with_another_digest_is_not_built(tmp_path: Path) -> None:
    lock = SOURCE.replace("49b3", "0000")
    profile = profile_of(tmp_path, lock, "      sources: [{name: docopt}]\n")

    with pytest.raises(TrustError, match="docopt: the source is not the locked one"):
        stacks.build(profile, tmp_path / "cache", silent)


def test_the_model_alone_is_put_right_and_then_left_alone(
    bed: Bed, host: LabHost, tmp_path: Path
) -> None:
    # Stand-ins: the layer asks whether they are there; what they hold is the smoke test's matter.
    names = ("python3-torch", "python3-numpy", "python3-safetensors")
    spec = "Name: x\nVersion: 1\nRelease: 1\nSummary: Stand-ins\nLicense: Test\n%description\nx\n"
    for name in names:
        spec += f"%package -n {name}\nSummary: Stand-in\n%description -n {name}\nx\n"
        spec += f"%files -n {name}\n"
    (tmp_path / "x.spec").write_text(spec)
    define = ["--define", f"_topdir {tmp_path}/b", "--define", f"_rpmdir {host.root}/root/rpms"]
    run(["rpmbuild", "-bb", "--quiet", *define, tmp_path / "x.spec"], timeout_s=60)
    host.run("rpm -i --nosignature /root/rpms/*/*.rpm && rm -r /root/rpms")
    alone = Bed(
        profile=load("lab-stig").model_copy(update={"layers": ("ml_cpu",)}),
        cache=bed.cache,
        built=bed.built,
    )

    assert apply(alone, host).changed > 0
    assert apply(alone, host).changed == 0
    host.run("cd /opt/ai/models/all-MiniLM-L6-v2 && chmod u+w vocab.txt && echo x >> vocab.txt")
    assert apply(alone, host).changed > 0
    assert host.run("cd /opt/ai/models/all-MiniLM-L6-v2 && sha256sum -c SHA256SUMS")
    assert host.run("ls -A /root").stdout.count("hardpan") == 0
