"""What of a stack's build needs no program: locks, the target, the spec, licences."""

import zipfile
from pathlib import Path

import pytest

from hardpan.builder.ai_models import embedding
from hardpan.builder.artifacts import WheelRecord
from hardpan.builder.profile_checks import collect_profile_errors
from hardpan.builder.python_stacks import fetch, locks, source
from hardpan.builder.python_stacks.metadata import read_licence
from hardpan.builder.python_stacks.model import LockedStack
from hardpan.builder.python_stacks.pack import render_spec
from hardpan.builder.wheel_audit.lock import format_requirements
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import AggregateError, InputError, TrustError
from hardpan.core.files import Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.frameworks import FromSource, Stack

PIN_A = "a-b==1.0 --hash=sha256:" + "1" * 64 + "\n"
PIN_C = "c==2.0+cpu --hash=sha256:" + "2" * 64 + "\n"


def make_stack(lock: Path | str, **more: object) -> Stack:
    return Stack.model_validate(
        {"name": "one", "packages": ["c[x]>=2"], "lock": str(lock), "python": "3.12", **more}
    )


@pytest.fixture
def locked_stack(tmp_path: Path) -> LockedStack:
    (tmp_path / "one.lock").write_text(PIN_A + PIN_C)
    stack_section = make_stack(tmp_path / "one.lock", requires=("python3-torch",))
    return LockedStack(stack=stack_section, release="rocky9", lock=locks.read_lock(stack_section))


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return folder / name


def test_shipped_serving_lock_pins_packages_without_index() -> None:
    text = (locks.SHIPPED / "ai-serving.lock").read_text("utf-8")

    lock = locks.read_lock(make_stack("ai-serving", sources=[{"name": "llama-cpp-python"}]))

    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]
    names = {entry.name for entry in lock.entries}
    assert {"llama-cpp-python", "fastapi", "uvicorn"} <= names
    assert "torch" not in names


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "one: lock: expected a file, got no "),
        (PIN_A + PIN_A, "a-b: is listed twice"),
        ("a==1; sys_platform == 'linux' --hash=sha256:" + "1" * 64, "got markers at a"),
        (PIN_A, "expected c, to be built from source"),
        ("a==1\n", "a: expected a sha256 hash"),
        ("a>=1 --hash=sha256:" + "1" * 64, "expected name==version, got 'a>=1'"),
    ],
)
def test_invalid_lock_is_refused(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "one.lock"
    if text is not None:
        path.write_text(text)

    with pytest.raises(InputError) as caught:
        locks.read_lock(make_stack(path, sources=[{"name": "c"}]))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "c: build_lock: expected a file, got no "),
        ("a==1; sys_platform == 'linux' --hash=sha256:" + "1" * 64, "got markers at a"),
        ("a>=1 --hash=sha256:" + "1" * 64, "expected name==version, got 'a>=1'"),
    ],
)
def test_invalid_build_tools_lock_is_refused(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    path = tmp_path / "build.lock"
    if text is not None:
        path.write_text(text)
    stack_section = make_stack(
        tmp_path / "one.lock", sources=[{"name": "c", "build_lock": str(path)}]
    )

    with pytest.raises(InputError) as caught:
        locks.read_build_tools(stack_section)

    assert problem in str(caught.value)


def test_source_build_uses_shipped_lock_by_default(tmp_path: Path) -> None:
    stack_section = make_stack(tmp_path / "one.lock", sources=[{"name": "c"}])

    tools = {entry.name for entry in locks.read_build_tools(stack_section)["c"].entries}

    # Those that llama-cpp-python and a package with a setup.py ask for, and what they need.
    assert tools == {"packaging", "pathspec", "scikit-build-core", "setuptools"}


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("rocky9-stig-amd", ("pytorch", "vllm")),
        ("rocky10-stig-amd", ("pytorch", "vllm")),
    ],
)
def test_stack_without_lock_is_refused_with_lock_command(
    name: str, without: tuple[str, ...]
) -> None:
    problems = ErrorCollector()

    with problems.collecting("stacks"):
        locks.check(load_profile(name))

    assert [str(p.error) for p in problems.collected] == [
        f"{name}: frameworks: {stack}: expected a lock, got none" for stack in without
    ]
    for stack, problem in zip(without, problems.collected, strict=True):
        assert "uv pip compile - --generate-hashes --no-emit-index-url" in problem.error.hint
        assert "--torch-backend rocm7.1" in problem.error.hint
        assert f"-o {stack}.lock" in problem.error.hint


def test_missing_lock_blocks_image_but_not_iso() -> None:
    shipped = load_profile("rocky10-stig-amd")
    profile = shipped.model_copy(update={"layers": ("ml_frameworks", "stig")})

    collect_profile_errors(profile, builds_image=False).raise_if_any()
    with pytest.raises(AggregateError, match="pytorch: expected a lock, got none"):
        collect_profile_errors(profile, builds_image=True).raise_if_any()


def test_pip_target_is_release_not_build_machine(locked_stack: LockedStack) -> None:
    arguments = locked_stack.pip_target_arguments()

    assert arguments[:4] == ["--implementation", "cp", "--python-version", "3.12"]
    assert "manylinux_2_34_x86_64" in arguments
    assert "manylinux_2_35_x86_64" not in arguments
    assert "manylinux2014_x86_64" in arguments


def test_requirements_contain_only_pins_and_digests(locked_stack: LockedStack) -> None:
    text = format_requirements(locked_stack.lock.entries)

    assert text == (f"a-b==1.0 --hash=sha256:{'1' * 64}\nc==2.0+cpu --hash=sha256:{'2' * 64}\n")


def test_unlocked_file_is_refused(tmp_path: Path, locked_stack: LockedStack) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/x-1-py3-none-any.whl").write_bytes(b"x")

    with pytest.raises(TrustError, match=r"x-1-py3-none-any\.whl: not in the lock"):
        fetch._verify_against_lock([], tmp_path / "w")
    with pytest.raises(TrustError, match=r"a-b 1\.0: found none, not locked"):
        fetch._verify_against_lock(list(locked_stack.lock.entries), tmp_path / "w")


def test_spec_lists_requirements_and_bundled_packages(locked_stack: LockedStack) -> None:
    wheels = [
        WheelRecord(name="a-b", version="1.0", file="a", sha256="1" * 64, licence="MIT"),
        WheelRecord(name="c", version="2.0+cpu", file="c", sha256="2" * 64, licence="MIT OR Zlib"),
    ]

    lines = render_spec(locked_stack, wheels, Sha256("abcdef0123456789" * 4)).splitlines()

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
        ("License: A\n  whole\n  text", "LicenseRef-unknown"),
        ("Name: x", "LicenseRef-unknown"),
        ("License: %{lua: x} `id`", "lua x id"),
    ],
)
def test_licence_is_a_sanitized_line(tmp_path: Path, metadata: str, expected: str) -> None:
    path = write_wheel(
        tmp_path, "x-1-py3-none-any.whl", {"x-1.dist-info/METADATA": metadata.encode()}
    )

    assert read_licence(path) == expected


def test_wheel_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected METADATA in it"):
        read_licence(write_wheel(tmp_path, "x-1-py3-none-any.whl", {"x/__init__.py": b""}))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0GLIBC_2.38\0", "got 2.38 and GLIBCXX_3.4.0"),
        (b"\0GLIBC_2.2.5\0GLIBCXX_3.4.30\0", "got 2.0 and GLIBCXX_3.4.30"),
    ],
)
def test_wheel_needing_newer_libraries_is_refused(
    tmp_path: Path, locked_stack: LockedStack, data: bytes, problem: str
) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-linux_x86_64.whl", {"x/lib.so.0": data})

    with pytest.raises(InputError) as caught:
        source.require_compatible(path, locked_stack)

    assert problem in str(caught.value)
    source.require_compatible(
        write_wheel(tmp_path, "y.whl", {"y.so": b"\0GLIBC_2.34\0"}), locked_stack
    )


def test_built_wheel_size_is_limited(
    tmp_path: Path, locked_stack: LockedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-linux_x86_64.whl", {"x/lib.so": b"\0" * 2000})
    monkeypatch.setattr(source, "MAX_LIBRARY_BYTES", 1000)

    with pytest.raises(InputError, match=r"'x/lib\.so': expected at most 1000 bytes, got 2000"):
        source.require_compatible(path, locked_stack)


@pytest.mark.parametrize("name", ["../x.so", "/x.so", "x\x1b.so"])
def test_built_wheel_with_unsafe_names_is_refused(
    tmp_path: Path, locked_stack: LockedStack, name: str
) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-linux_x86_64.whl", {name: b""})

    with pytest.raises(InputError, match=r"x-1-py3-none-linux_x86_64.whl: cannot be read: "):
        source.require_compatible(path, locked_stack)


def test_model_wheel_without_its_files_is_refused(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, "x-1-py3-none-any.whl", {"vocab.txt": b""})
    (tmp_path / "none.whl").write_bytes(b"PK")

    with pytest.raises(TrustError, match=r"expected model.safetensors, vocab.txt, config.json in"):
        embedding._read_wheel(path)
    with pytest.raises(TrustError, match="expected the wheel of all-MiniLM-L6-v2"):
        embedding._read_wheel(tmp_path / "none.whl")


def test_package_with_wheels_is_not_built(tmp_path: Path, locked_stack: LockedStack) -> None:
    entry = locks.load_lock(tmp_path / "one.lock").entries[0]
    entry_with_wheels = type(entry)(
        name="a-b", version="1.0", sha256s=frozenset(("1" * 64, "2" * 64)), is_conditional=False
    )

    with pytest.raises(InputError, match="expected one digest in the lock, that of the source"):
        source.build_wheel(
            locked_stack, FromSource(name="a-b"), entry_with_wheels, None, tmp_path, print
        )
