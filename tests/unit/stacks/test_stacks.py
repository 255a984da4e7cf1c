"""What of a stack's build needs no program: locks, the target, the spec, licences."""

import zipfile
from pathlib import Path

import pytest

from hardpan.builder import pipeline
from hardpan.builder.layers import model
from hardpan.builder.receipts import WheelReceipt
from hardpan.builder.stacks import fetch, locks, source
from hardpan.builder.stacks.metadata import licence
from hardpan.builder.stacks.model import Recipe
from hardpan.builder.stacks.pack import spec
from hardpan.builder.wheels.lock import requirements
from hardpan.errors import InputError, TrustError
from hardpan.files import Sha256
from hardpan.problems import Problems
from hardpan.profiles.frameworks import FromSource, Stack
from hardpan.profiles.load import load

ONE = "a-b==1.0 --hash=sha256:" + "1" * 64 + "\n"
TWO = "c==2.0+cpu --hash=sha256:" + "2" * 64 + "\n"


def stack(lock: Path | str, **more: object) -> Stack:
    return Stack.model_validate(
        {"name": "one", "packages": ["c[x]>=2"], "lock": str(lock), "python": "3.12", **more}
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "one.lock").write_text(ONE + TWO)
    made = stack(tmp_path / "one.lock", requires=("python3-torch",))
    return Recipe(stack=made, release="rocky9", lock=locks.read(made))


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return folder / name


def test_the_shipped_lock_names_no_index_and_pins_all_it_lists() -> None:
    text = (locks.SHIPPED / "ai-serving.lock").read_text("utf-8")

    lock = locks.read(stack("ai-serving", sources=[{"name": "llama-cpp-python"}]))

    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]
    names = {entry.name for entry in lock.entries}
    assert {"llama-cpp-python", "fastapi", "uvicorn"} <= names
    assert "torch" not in names


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "one: lock: expected a file, found no "),
        (ONE + ONE, "a-b: is there twice"),
        ("a==1; sys_platform == 'linux' --hash=sha256:" + "1" * 64, "found markers at a"),
        (ONE, "expected c, which is to be built from source"),
        ("a==1\n", "a: expected a sha256 hash"),
        ("a>=1 --hash=sha256:" + "1" * 64, "expected name==version, found 'a>=1'"),
    ],
)
def test_a_lock_that_is_none_is_refused(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "one.lock"
    if text is not None:
        path.write_text(text)

    with pytest.raises(InputError) as caught:
        locks.read(stack(path, sources=[{"name": "c"}]))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "c: build_lock: expected a file, found no "),
        ("a==1; sys_platform == 'linux' --hash=sha256:" + "1" * 64, "found markers at a"),
        ("a>=1 --hash=sha256:" + "1" * 64, "expected name==version, found 'a>=1'"),
    ],
)
def test_a_lock_of_build_tools_that_is_none_is_refused(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    path = tmp_path / "build.lock"
    if text is not None:
        path.write_text(text)
    made = stack(tmp_path / "one.lock", sources=[{"name": "c", "build_lock": str(path)}])

    with pytest.raises(InputError) as caught:
        locks.build_tools(made)

    assert problem in str(caught.value)


def test_a_source_is_built_by_the_shipped_lock_unless_it_names_another(tmp_path: Path) -> None:
    made = stack(tmp_path / "one.lock", sources=[{"name": "c"}])

    tools = {entry.name for entry in locks.build_tools(made)["c"].entries}

    # Those that llama-cpp-python and a package with a setup.py ask for, and what they need.
    assert tools == {"packaging", "pathspec", "scikit-build-core", "setuptools"}


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("rocky9-stig-amd", ("pytorch", "vllm")),
        ("rocky10-stig-amd", ("pytorch", "vllm")),
        ("rocky10-stig-cpu", ("pytorch",)),
    ],
)
def test_every_stack_without_a_lock_is_refused_with_its_command(
    name: str, without: tuple[str, ...]
) -> None:
    found = Problems()

    with found.of("stacks"):
        locks.check(load(name))

    assert [str(p.error) for p in found.found] == [
        f"{name}: frameworks: {stack}: expected a lock, found none" for stack in without
    ]
    for stack, told in zip(without, found.found, strict=True):
        assert "uv pip compile - --generate-hashes --no-emit-index-url" in told.error.hint
        assert f"--torch-backend {'cpu' if 'cpu' in name else 'rocm7.1'}" in told.error.hint
        assert f"-o {stack}.lock" in told.error.hint


def test_a_build_is_refused_before_anything_runs_and_an_iso_is_not() -> None:
    profile = load("rocky10-stig-cpu")

    pipeline.check(profile, image=False)
    with pytest.raises(InputError, match="pytorch: expected a lock, found none"):
        pipeline.check(profile, image=True)


def test_the_target_is_the_hosts_and_never_this_machines(recipe: Recipe) -> None:
    told = recipe.target()

    assert told[:4] == ["--implementation", "cp", "--python-version", "3.12"]
    assert "manylinux_2_34_x86_64" in told
    assert "manylinux_2_35_x86_64" not in told
    assert "manylinux2014_x86_64" in told


def test_what_pip_is_given_holds_pins_and_digests_alone(recipe: Recipe) -> None:
    text = requirements(recipe.lock.entries)

    assert text == (f"a-b==1.0 --hash=sha256:{'1' * 64}\nc==2.0+cpu --hash=sha256:{'2' * 64}\n")


def test_a_file_that_nobody_asked_for_is_not_trusted(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/x-1-py3-none-any.whl").write_bytes(b"x")

    with pytest.raises(TrustError, match=r"x-1-py3-none-any\.whl: nobody asked for it"):
        fetch._hold([], tmp_path / "w")
    with pytest.raises(TrustError, match=r"a-b 1\.0: found none, not locked"):
        fetch._hold(list(recipe.lock.entries), tmp_path / "w")


def test_the_spec_names_python_what_is_needed_and_what_is_bundled(recipe: Recipe) -> None:
    wheels = [
        WheelReceipt(name="a-b", version="1.0", file="a", sha256="1" * 64, licence="MIT"),
        WheelReceipt(name="c", version="2.0+cpu", file="c", sha256="2" * 64, licence="MIT OR Zlib"),
    ]

    lines = spec(recipe, wheels, Sha256("abcdef0123456789" * 4)).splitlines()

    assert lines[:3] == ["Name: hardpan-ai-one", "Version: 2.0+cpu", "Release: 1.habcdef012345"]
    assert "License: MIT AND (MIT OR Zlib)" in lines
    assert "Requires: /usr/bin/python3.12" in lines
    assert "Requires: python3-torch" in lines
    assert "Provides: bundled(python3dist(c)) = 2.0+cpu" in lines
    assert lines[-3:] == ["%dir /opt/ai", "%dir /opt/ai/stacks", "/opt/ai/stacks/one"]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT\nLicense: other", "MIT"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: BSD", "BSD"),
        ("License: A\n  whole\n  text", "LicenseRef-not-told"),
        ("Name: x", "LicenseRef-not-told"),
        ("License: %{lua: x} `id`", "lua x id"),
    ],
)
def test_a_licence_is_one_plain_line(tmp_path: Path, metadata: str, expected: str) -> None:
    path = wheel(tmp_path, "x-1-py3-none-any.whl", {"x-1.dist-info/METADATA": metadata.encode()})

    assert licence(path) == expected


def test_a_wheel_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected METADATA in it"):
        licence(wheel(tmp_path, "x-1-py3-none-any.whl", {"x/__init__.py": b""}))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\0GLIBC_2.38\0", "found 2.38 and GLIBCXX_3.4.0"),
        (b"\0GLIBC_2.2.5\0GLIBCXX_3.4.30\0", "found 2.0 and GLIBCXX_3.4.30"),
    ],
)
def test_what_this_machines_compiler_made_too_new_is_refused(
    tmp_path: Path, recipe: Recipe, data: bytes, found: str
) -> None:
    path = wheel(tmp_path, "x-1-py3-none-linux_x86_64.whl", {"x/lib.so.0": data})

    with pytest.raises(InputError) as caught:
        source.fits(path, recipe)

    assert found in str(caught.value)
    source.fits(wheel(tmp_path, "y.whl", {"y.so": b"\0GLIBC_2.34\0"}), recipe)


def test_a_built_wheel_is_not_unpacked_at_any_size(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wheel(tmp_path, "x-1-py3-none-linux_x86_64.whl", {"x/lib.so": b"\0" * 2000})
    monkeypatch.setattr(source, "MAX_LIBRARY_BYTES", 1000)

    with pytest.raises(InputError, match=r"'x/lib\.so': expected at most 1000 bytes, got 2000"):
        source.fits(path, recipe)


@pytest.mark.parametrize("name", ["../x.so", "/x.so", "x\x1b.so"])
def test_a_built_wheel_with_odd_names_is_refused(tmp_path: Path, recipe: Recipe, name: str) -> None:
    path = wheel(tmp_path, "x-1-py3-none-linux_x86_64.whl", {name: b""})

    with pytest.raises(InputError, match=r"x-1-py3-none-linux_x86_64.whl: cannot be read: "):
        source.fits(path, recipe)


def test_the_models_package_without_its_files_is_not_trusted(tmp_path: Path) -> None:
    path = wheel(tmp_path, "x-1-py3-none-any.whl", {"vocab.txt": b""})
    (tmp_path / "none.whl").write_bytes(b"PK")

    with pytest.raises(TrustError, match=r"expected model.safetensors, vocab.txt, config.json in"):
        model._read_wheel(path)
    with pytest.raises(TrustError, match="expected the wheel of all-MiniLM-L6-v2"):
        model._read_wheel(tmp_path / "none.whl")


def test_what_has_wheels_is_not_built(tmp_path: Path, recipe: Recipe) -> None:
    entry = locks.load(tmp_path / "one.lock").entries[0]
    many = type(entry)(
        name="a-b", version="1.0", sha256s=frozenset(("1" * 64, "2" * 64)), conditional=False
    )

    with pytest.raises(InputError, match="expected one digest in the lock, that of the source"):
        source.wheel_of(recipe, FromSource(name="a-b"), many, None, tmp_path, print)
