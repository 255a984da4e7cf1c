"""Stacks for real: wheels off an index, one signed RPM, a booted lab host that runs it."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.builder import python_stacks
from hardpan.builder.artifacts import Assessment, LayerResult
from hardpan.builder.layers import registry as layers
from hardpan.builder.python_stacks import signing
from hardpan.builder.python_stacks.locks import SHIPPED
from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.events import discard
from hardpan.core.files import Sha256, sha256_file
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from tests.integration.conftest import CACHE
from tests.integration.lab_host import LabHost

pytestmark = pytest.mark.integration

# Pure, native, and one that another needs.
NAMES = ("markupsafe", "typing-extensions", "typing-inspection")
NO_FIXES = Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=())
PYTHON = "/opt/ai/stacks/tiny/bin/python3"


def lock_entries(*names: str) -> str:
    """The entries of the shipped lock for some packages."""
    text = (SHIPPED / "ai-serving.lock").read_text("utf-8")
    entries = [e for e in text.replace(" \\\n", " ").splitlines() if e.split("==")[0] in names]
    assert len(entries) == len(names)
    return "\n".join(entries) + "\n"


def write_profile(folder: Path, lock: str, extra_yaml: str = "") -> Profile:
    """The lab's profile with one small stack."""
    (folder / "tiny.lock").write_text(lock, "utf-8")
    path = folder / "tiny.yaml"
    path.write_text(
        "extends: lab-stig\nname: tiny\ntitle: A tiny stack\nlayers: [ml_frameworks]\n"
        "frameworks:\n  stacks:\n    - name: tiny\n      packages: [typing-inspection]\n"
        f"      lock: ./tiny.lock\n      python: '3.13'\n{extra_yaml}",
        "utf-8",
    )
    return load_profile(path)


@dataclass(frozen=True)
class StackFixture:
    """A built stack and what it came from."""

    profile: Profile
    cache: Path
    built: python_stacks.BuiltStack

    @property
    def wheels(self) -> Path:
        """Its wheels, as they were downloaded."""
        (folder,) = (self.cache / "wheelhouse").glob("tiny-*")
        return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> StackFixture:
    folder = tmp_path_factory.mktemp("frameworks")
    profile = write_profile(folder, lock_entries(*NAMES))
    cache = folder / "cache"
    cache.mkdir()
    for model in CACHE.glob("model-*"):
        (cache / model.name).symlink_to(model)
    (built,) = python_stacks.build_stacks(profile, cache, discard)
    return StackFixture(profile=profile, cache=cache, built=built)


def apply_layers(stack: StackFixture, host: LabHost) -> LayerResult:
    (result,) = layers.apply_layers(
        stack.profile, host.guest, NO_FIXES, cache=stack.cache, emit=discard
    )
    return result


def test_stack_installs_and_is_idempotent(stack: StackFixture, host: LabHost) -> None:
    first = apply_layers(stack, host)
    second = apply_layers(stack, host)

    assert first.changed_tasks > 0
    assert second.changed_tasks == 0
    (receipt,) = second.stacks
    assert [w.name for w in receipt.wheels] == list(NAMES)
    output = host.run(
        f"cd / && {PYTHON} -c 'import sys, markupsafe._speedups, typing_inspection as t;"
        " print(t.__file__, sys.prefix, sys.base_prefix, sys.flags.isolated)'"
    ).stdout.split()
    assert output[0].startswith("/opt/ai/stacks/tiny/lib/python3.13/site-packages/")
    assert output[1:3] == ["/opt/ai/stacks/tiny", "/usr"]
    # What ran wrote nothing: each file below /opt/ai/stacks is a package's, and as it was packed.
    assert host.run("rpm -V hardpan-ai-tiny").stdout == ""
    unowned = "find /opt/ai/stacks -print0 | xargs -0 rpm -qf | grep -v ^hardpan-ai- || true"
    assert host.run(unowned).stdout == ""
    assert "Key ID" in host.run("rpm -qi hardpan-ai-tiny").stdout
    assert host.run("readlink -f " + PYTHON).stdout == "/usr/bin/python3.13\n"
    assert host.run("cat /etc/hardpan/ai.env").stdout.count("HF_HUB_OFFLINE=1\n") == 1
    assert host.run("stat -c %U:%G:%a /var/lib/ai/jit").stdout == "ai:ai:750\n"
    # What was tampered with is put right again.
    host.run("echo x >> /opt/ai/stacks/tiny/pyvenv.cfg; echo x >> /etc/hardpan/ai.env")
    assert apply_layers(stack, host).changed_tasks > 0
    assert host.run("rpm -V hardpan-ai-tiny").stdout == ""
    assert apply_layers(stack, host).changed_tasks == 0


def test_rpm_without_site_signature_is_not_installed(
    stack: StackFixture, host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = []
    for name, damage in (("unsigned", _remove_signature), ("tampered", _flip_byte)):
        rpm = tmp_path / f"{name}.rpm"
        shutil.copyfile(stack.built.rpm, rpm)
        damage(rpm)
        with pytest.raises(TrustError, match="expected the site's signature"):
            signing.verify_rpm_signature(rpm, python_stacks.load_site_key(stack.cache))
        tampered = python_stacks.BuiltStack(rpm=rpm, receipt=stack.built.receipt)
        monkeypatch.setattr(
            python_stacks, "build_stacks", lambda *_, tampered=tampered: (tampered,)
        )
        with pytest.raises(Exception, match="Install the RPMs with their signatures") as caught:
            apply_layers(stack, host)
        messages.append(caught.value.output_tail)  # type: ignore[attr-defined]

    assert all("not signed by the site, or not whole" in text for text in messages)
    assert host.run("rpm -q hardpan-ai-tiny", ok=(1,)).stdout.endswith("is not installed\n")


def _remove_signature(rpm: Path) -> None:
    run(["rpmsign", "--delsign", rpm], timeout_s=60)


def _flip_byte(rpm: Path) -> None:
    data = bytearray(rpm.read_bytes())
    data[-200] ^= 1
    rpm.write_bytes(data)


def test_stack_rpm_is_reproducible(stack: StackFixture, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    shutil.copytree(stack.cache / "package-key", cache / "package-key")

    (built,) = python_stacks.build_stacks(stack.profile, cache, discard)

    assert built.receipt.header_sha256 == stack.built.receipt.header_sha256


def test_unchanged_stack_is_cached(stack: StackFixture) -> None:
    old_stat = stack.built.rpm.stat()

    (rebuilt,) = python_stacks.build_stacks(stack.profile, stack.cache, discard)

    assert rebuilt == stack.built
    assert rebuilt.rpm.stat().st_mtime_ns == old_stat.st_mtime_ns


def test_complete_wheelhouse_needs_no_index(
    stack: StackFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/nothing")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    wheelhouse = tmp_path / "wheels"
    shutil.copytree(stack.wheels, wheelhouse)
    profile = write_profile(tmp_path, lock_entries(*NAMES), f"      wheelhouse: {wheelhouse}\n")

    (built,) = python_stacks.build_stacks(profile, tmp_path / "cache", discard)

    assert [w.sha256 for w in built.receipt.wheels] == [
        w.sha256 for w in stack.built.receipt.wheels
    ]


def test_incomplete_wheelhouse_reports_all_missing(stack: StackFixture, tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheels"
    shutil.copytree(stack.wheels, wheelhouse)
    for name in ("markupsafe", "typing_inspection"):
        next(wheelhouse.glob(f"{name}-*")).unlink()
    profile = write_profile(tmp_path, lock_entries(*NAMES), f"      wheelhouse: {wheelhouse}\n")

    with pytest.raises(InputError) as caught:
        python_stacks.build_stacks(profile, tmp_path / "cache", discard)

    assert str(caught.value) == (
        f"{wheelhouse}: expected every locked file, got none for 2 of 3:"
        " markupsafe 3.0.4, typing-inspection 0.4.5"
    )
    assert not (tmp_path / "cache/wheelhouse").exists()


def test_modified_wheel_is_not_trusted(stack: StackFixture, tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheels"
    shutil.copytree(stack.wheels, wheelhouse)
    with next(wheelhouse.glob("markupsafe-*")).open("ab") as f:
        f.write(b"x")
    profile = write_profile(tmp_path, lock_entries(*NAMES), f"      wheelhouse: {wheelhouse}\n")

    with pytest.raises(TrustError, match=r"markupsafe 3\.0\.4: expected a digest from the lock"):
        python_stacks.build_stacks(profile, tmp_path / "cache", discard)


def test_download_with_wrong_digest_is_not_trusted(tmp_path: Path) -> None:
    lock = "typing-inspection==0.4.5 --hash=sha256:" + "0" * 64 + "\n"
    profile = write_profile(tmp_path, lock)

    with pytest.raises(TrustError, match="tiny: a downloaded file is not the locked one"):
        python_stacks.build_stacks(profile, tmp_path / "cache", discard)

    assert list((tmp_path / "cache").glob("wheelhouse/*")) == []


def test_unsafe_wheel_stops_build(tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheels"
    wheelhouse.mkdir()
    evil = wheelhouse / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(evil, "w") as archive:
        info = "evil-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr("../../../etc/evil.py", "")
    lock = f"evil==1.0 --hash=sha256:{sha256_file(evil)}\n"
    profile = write_profile(tmp_path, lock, f"      wheelhouse: {wheelhouse}\n")

    with pytest.raises(TrustError, match=r"tiny: evil-1\.0-py3-none-any\.whl: not safe to unpack"):
        python_stacks.build_stacks(profile, tmp_path / "cache", discard)

    assert list((tmp_path / "cache/stacks").glob("*")) == []


DIGEST = "49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491"
SOURCE = f"docopt==0.6.2 --hash=sha256:{DIGEST}\n"
"""A package of 2014 that was never published as a wheel."""


def test_source_only_package_is_built(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, SOURCE, "      sources: [{name: docopt}]\n")

    (built,) = python_stacks.build_stacks(profile, tmp_path / "cache", discard)

    (wheel,) = built.receipt.wheels
    (built_wheel,) = (tmp_path / "cache/sources").glob("docopt-*/*.whl")
    assert wheel.source_sha256 == DIGEST
    assert wheel.sha256 == sha256_file(built_wheel) != wheel.source_sha256
    file_list = run(["rpm", "-qpl", "--nosignature", built.rpm], timeout_s=30).stdout
    assert "/opt/ai/stacks/tiny/lib/python3.13/site-packages/docopt.py\n" in file_list


def test_source_is_not_built_unless_listed(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="tiny: no wheels"):
        python_stacks.build_stacks(write_profile(tmp_path, SOURCE), tmp_path / "cache", discard)


def test_source_with_wrong_digest_is_not_built(tmp_path: Path) -> None:
    lock = SOURCE.replace("49b3", "0000")
    profile = write_profile(tmp_path, lock, "      sources: [{name: docopt}]\n")

    with pytest.raises(TrustError, match="docopt: the source is not the locked one"):
        python_stacks.build_stacks(profile, tmp_path / "cache", discard)


def test_ml_cpu_layer_repairs_and_is_idempotent(
    stack: StackFixture, host: LabHost, tmp_path: Path
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
    model_only = StackFixture(
        profile=load_profile("lab-stig").model_copy(update={"layers": ("ml_cpu",)}),
        cache=stack.cache,
        built=stack.built,
    )

    assert apply_layers(model_only, host).changed_tasks > 0
    assert apply_layers(model_only, host).changed_tasks == 0
    host.run("cd /opt/ai/models/all-MiniLM-L6-v2 && chmod u+w vocab.txt && echo x >> vocab.txt")
    assert apply_layers(model_only, host).changed_tasks > 0
    assert host.run("cd /opt/ai/models/all-MiniLM-L6-v2 && sha256sum -c SHA256SUMS")
    assert host.run("ls -A /root").stdout.count("hardpan") == 0
