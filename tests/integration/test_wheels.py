"""The wheel audit on real code: a C extension linked with libcrypto.a, and installed packages."""

import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

from hardpan.builder.wheel_audit.audit import audit_wheels
from hardpan.builder.wheel_audit.model import AuditFinding
from hardpan.core.process import find_program, run
from tests.unit.wheel_audit.factories import make_wheel, write_wheel

pytestmark = pytest.mark.integration

EXTENSION = r"""
#include <Python.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
static PyObject *go(PyObject *self, PyObject *args) {
    OSSL_PROVIDER_load(NULL, "default");
#ifdef PRINT_VERSION
    return PyUnicode_FromString(OpenSSL_version(OPENSSL_VERSION));
#endif
    return PyLong_FromVoidPtr((void *)EVP_get_digestbyname("sha256"));
}
static PyMethodDef methods[] = {{"go", go, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "demo", "", -1, methods};
PyMODINIT_FUNC PyInit_demo(void) { return PyModule_Create(&module); }
"""


def _find_libcrypto_archive() -> Path | None:
    """The system's libcrypto.a, where there is a compiler and Python's headers too."""
    if find_program("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        return None
    path = run(["cc", "-print-file-name=libcrypto.a"], timeout_s=30).stdout.strip()
    return Path(path) if Path(path).is_absolute() else None


def _compile_extension(folder: Path, *link: str | Path) -> bytes:
    (folder / "demo.c").write_text(EXTENSION, "utf-8")
    library = folder / "demo.so"
    include = sysconfig.get_path("include")
    argv: list[str | Path] = ["cc", "-shared", "-fPIC", f"-I{include}", "-o", library]
    run([*argv, folder / "demo.c", *link], timeout_s=120)
    return library.read_bytes()


def _audit_native(tmp_path: Path, native: bytes) -> list[AuditFinding]:
    findings = audit_wheels(
        write_wheel(tmp_path / "wheelhouse", make_wheel({"demo/_demo.so": native}))
    ).findings
    assert {f.kind for f in findings} <= {"bundled_crypto"}
    return list(findings)


def test_statically_linked_openssl_is_recognized(tmp_path: Path) -> None:
    archive = _find_libcrypto_archive()
    if archive is None:
        pytest.skip("no compiler, Python headers or libcrypto.a: the test below has real code too")
    (plain,) = _audit_native(
        tmp_path, _compile_extension(tmp_path, "-DPRINT_VERSION", archive, "-lpthread", "-ldl")
    )

    version = run(["openssl", "version"], timeout_s=30).stdout.split()[1]
    assert (plain.library, plain.version, plain.severity) == ("OpenSSL", version, "high")
    assert any(e.startswith("symbol OSSL_PROVIDER_load") for e in plain.evidence)


def test_stripped_openssl_is_recognized(tmp_path: Path) -> None:
    archive = _find_libcrypto_archive()
    if archive is None:
        pytest.skip("no compiler, Python headers or libcrypto.a: the test below has real code too")
    link = (archive, "-s", "-Wl,--exclude-libs,ALL", "-lpthread", "-ldl")
    (stripped,) = _audit_native(tmp_path, _compile_extension(tmp_path, *link))

    assert stripped.library == "OpenSSL"
    assert stripped.severity == "high"


def test_extension_using_system_openssl_has_no_finding(tmp_path: Path) -> None:
    if _find_libcrypto_archive() is None:
        pytest.skip("no compiler, Python headers or libcrypto.a: the test below has real code too")

    assert _audit_native(tmp_path, _compile_extension(tmp_path, "-lcrypto")) == []


@pytest.mark.parametrize(
    ("package", "library"), [("cryptography", "OpenSSL"), ("pynacl", "libsodium")]
)
def test_crypto_in_installed_packages_is_recognized(
    tmp_path: Path, package: str, library: str
) -> None:
    files = distribution(package).files or []
    natives = {str(f): Path(str(f.locate())) for f in files if f.name.endswith(".so")}
    members = {name: path.read_bytes() for name, path in natives.items()}
    findings = audit_wheels(write_wheel(tmp_path / "wheelhouse", make_wheel(members))).findings

    library_findings = [f for f in findings if f.library == library]
    assert library_findings
    assert {f.severity for f in library_findings} == {"high"}
    assert all(f.evidence for f in library_findings)


def test_built_wheel_matches_its_record(tmp_path: Path) -> None:
    """pip builds one of our own source; every digest agrees, nothing in it is a finding."""
    wheelhouse = tmp_path / "wheelhouse"
    source = tmp_path / "demo"
    (source / "demo").mkdir(parents=True)
    (source / "demo" / "__init__.py").write_text("import hashlib\nhashlib.md5()\n", "utf-8")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "demo"\nversion = "1.0"\n[tool.setuptools]\npackages = ["demo"]\n',
        "utf-8",
    )
    argv: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation"]
    run([*argv, "--no-deps", "--no-index", "-w", wheelhouse, source], timeout_s=120)
    result = audit_wheels(wheelhouse)

    assert [(f.kind, f.severity, f.path, f.line) for f in result.findings] == [
        ("unguarded_md5", "high", "demo/__init__.py", 2)
    ]
    assert not any(w.refused for w in result.wheels)
