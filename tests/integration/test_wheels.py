"""The wheel audit on real code: a C extension linked with libcrypto.a, and installed packages."""

import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

from hardpan.builder.wheels.audit import audit
from hardpan.builder.wheels.model import Finding
from hardpan.process import run, which
from tests.unit.wheels.makers import put, wheel

pytestmark = pytest.mark.integration

EXTENSION = r"""
#include <Python.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
static PyObject *go(PyObject *self, PyObject *args) {
    OSSL_PROVIDER_load(NULL, "default");
#ifdef TELL
    return PyUnicode_FromString(OpenSSL_version(OPENSSL_VERSION));
#endif
    return PyLong_FromVoidPtr((void *)EVP_get_digestbyname("sha256"));
}
static PyMethodDef methods[] = {{"go", go, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "demo", "", -1, methods};
PyMODINIT_FUNC PyInit_demo(void) { return PyModule_Create(&module); }
"""


def _archive() -> Path | None:
    """The system's libcrypto.a, where there is a compiler and Python's headers too."""
    if which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        return None
    said = run(["cc", "-print-file-name=libcrypto.a"], timeout_s=30).stdout.strip()
    return Path(said) if Path(said).is_absolute() else None


def _compiled(folder: Path, *link: str | Path) -> bytes:
    (folder / "demo.c").write_text(EXTENSION, "utf-8")
    made = folder / "demo.so"
    include = sysconfig.get_path("include")
    argv: list[str | Path] = ["cc", "-shared", "-fPIC", f"-I{include}", "-o", made]
    run([*argv, folder / "demo.c", *link], timeout_s=120)
    return made.read_bytes()


def _crypto(tmp_path: Path, native: bytes) -> list[Finding]:
    found = audit(put(tmp_path / "house", wheel({"demo/_demo.so": native}))).findings
    assert {f.kind for f in found} <= {"bundled_crypto"}
    return list(found)


def test_openssl_linked_into_an_extension_is_found(tmp_path: Path) -> None:
    archive = _archive()
    if archive is None:
        pytest.skip("no compiler, Python headers or libcrypto.a: the test below has real code too")
    (plain,) = _crypto(tmp_path, _compiled(tmp_path, "-DTELL", archive, "-lpthread", "-ldl"))

    said = run(["openssl", "version"], timeout_s=30).stdout.split()[1]
    assert (plain.library, plain.version, plain.severity) == ("OpenSSL", said, "high")
    assert any(e.startswith("symbol OSSL_PROVIDER_load") for e in plain.evidence)


def test_openssl_is_found_where_neither_version_nor_symbols_are_left(tmp_path: Path) -> None:
    archive = _archive()
    if archive is None:
        pytest.skip("no compiler, Python headers or libcrypto.a: the test below has real code too")
    link = (archive, "-s", "-Wl,--exclude-libs,ALL", "-lpthread", "-ldl")
    (stripped,) = _crypto(tmp_path, _compiled(tmp_path, *link))

    assert stripped.library == "OpenSSL"
    assert stripped.severity == "high"


def test_an_extension_that_uses_the_systems_openssl_is_no_finding(tmp_path: Path) -> None:
    if _archive() is None:
        pytest.skip("no compiler, Python headers or libcrypto.a: the test below has real code too")

    assert _crypto(tmp_path, _compiled(tmp_path, "-lcrypto")) == []


@pytest.mark.parametrize(
    ("package", "library"), [("cryptography", "OpenSSL"), ("pynacl", "libsodium")]
)
def test_what_is_known_of_packages_of_ours_is_found(
    tmp_path: Path, package: str, library: str
) -> None:
    files = distribution(package).files or []
    natives = {str(f): Path(str(f.locate())) for f in files if f.name.endswith(".so")}
    inside = {name: path.read_bytes() for name, path in natives.items()}
    found = audit(put(tmp_path / "house", wheel(inside))).findings

    told = [f for f in found if f.library == library]
    assert told
    assert {f.severity for f in told} == {"high"}
    assert all(f.evidence for f in told)


def test_a_real_wheel_passes_its_own_record(tmp_path: Path) -> None:
    """pip builds one of our own source; every digest agrees, nothing in it is a finding."""
    house = tmp_path / "house"
    source = tmp_path / "demo"
    (source / "demo").mkdir(parents=True)
    (source / "demo" / "__init__.py").write_text("import hashlib\nhashlib.md5()\n", "utf-8")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "demo"\nversion = "1.0"\n[tool.setuptools]\npackages = ["demo"]\n',
        "utf-8",
    )
    argv: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation"]
    run([*argv, "--no-deps", "--no-index", "-w", house, source], timeout_s=120)
    found = audit(house)

    assert [(f.kind, f.severity, f.where, f.line) for f in found.findings] == [
        ("unguarded_md5", "high", "demo/__init__.py", 2)
    ]
    assert not any(w.refused for w in found.wheels)
