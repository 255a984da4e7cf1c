"""Build RPM packages with rpmbuild: the same bytes on every machine, digests that FIPS accepts."""

from pathlib import Path

from hardpan.core.errors import ToolError
from hardpan.core.process import run

_TIMEOUT_S = 3600
_DEFINES = {
    # rpmbuild must not change, strip or scan files whose digests are known.
    "__os_install_post": "%{nil}",
    "__spec_install_pre": "%{nil}",
    "__arch_install_post": "%{nil}",
    "__check_files": "%{nil}",
    "debug_package": "%{nil}",
    "_build_id_links": "none",
    # SHA-256, which FIPS mode accepts, whatever rpm's default is.
    "_source_filedigest_algorithm": "8",
    "_binary_filedigest_algorithm": "8",
    "_binary_payload": "w3.zstdio",
    # The same bytes on every machine and every day.
    "_buildhost": "hardpan",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "source_date_epoch_from_changelog": "0",
    "_vendor": "hardpan site",
    "_build_name_fmt": "%%{NAME}.rpm",
}


def build_rpm(spec_text: str, root: Path, workdir: Path, *, source_date_epoch: int) -> Path:
    """Build one unsigned package of the files below ``root`` in ``workdir``.

    ``source_date_epoch`` is the time of the build and the latest time of a file, in seconds.

    Raises:
        ToolError: rpmbuild is missing or failed.
    """
    spec = workdir / "package.spec"
    spec.write_text(spec_text, "utf-8")
    argv: list[str | Path] = ["rpmbuild", "-bb", "--quiet", "--nodeps", "--noclean"]
    argv += ["--target", "x86_64-linux", "--buildroot", root]
    defines = {**_DEFINES, "_topdir": str(workdir / "rpm"), "_rpmdir": str(workdir / "rpms")}
    defines["_tmppath"] = str(workdir)
    argv += [argument for k, v in defines.items() for argument in ("--define", f"{k} {v}")]
    env = {"SOURCE_DATE_EPOCH": str(source_date_epoch)}
    run([*argv, spec], timeout_s=_TIMEOUT_S, env=env)
    rpms = sorted((workdir / "rpms").glob("*.rpm"))
    if len(rpms) != 1:
        raise ToolError(["rpmbuild"], f"expected one package, got {len(rpms)}")
    return rpms[0]
