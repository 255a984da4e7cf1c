"""The site's OpenPGP key pair for packages, stored in the cache."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, atomic_path, sha256_file
from hardpan.core.process import find_program, run

OWNER = "hardpan site packages"
_PUBLIC = "RPM-GPG-KEY-hardpan-site"
_TIMEOUT_S = 120
_SIGN_TIMEOUT_S = 1800
"""Enough to read a package of several gigabytes from a slow disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteKey:
    """A key pair that packages are signed with."""

    home: Path
    """GnuPG's folder with the private half, readable by its owner alone. No passphrase."""

    public: Path
    """The public half, armored."""

    sha256: Sha256
    """Digest of the public half's file."""


def ensure_site_key(folder: Path) -> SiteKey:
    """Return the key pair in ``folder``; the first call creates it.

    Raises:
        ToolError: gpg is missing or failed.
        InputError: other users can read the folder.
    """
    if not folder.is_dir():
        with atomic_path(folder) as temp:
            temp.mkdir(mode=0o700)
            (temp / "gnupg").mkdir(mode=0o700)
            with _short_gnupg_home(temp / "gnupg") as home:
                argv = [*_gpg_argv(home), "--passphrase", "", "--quick-generate-key"]
                # RSA: every EL's rpm accepts it in FIPS mode.
                run([*argv, OWNER, "rsa3072", "sign", "never"], timeout_s=_TIMEOUT_S)
                run(
                    [*_gpg_argv(home), "--armor", "--output", temp / _PUBLIC, "--export", OWNER],
                    timeout_s=_TIMEOUT_S,
                )
    if folder.stat().st_mode & 0o077:
        raise InputError(
            f"{folder}: expected a folder that only its owner can read", hint="chmod 700"
        )
    public = folder / _PUBLIC
    return SiteKey(home=folder / "gnupg", public=public, sha256=sha256_file(public))


def sign_rpms(packages: Sequence[Path], key: SiteKey) -> None:
    """Sign RPM files in place, then verify them with the public key.

    Raises:
        ToolError: rpmsign or gpg failed.
        TrustError: a signed file does not verify.
    """
    with _short_gnupg_home(key.home) as home:
        argv: list[str | Path] = ["rpmsign", "--addsign"]
        for name, value in (
            ("_gpg_name", OWNER),
            ("_gpg_path", str(home)),
            ("_gpg_digest_algo", "sha256"),
            # rpm's compiled-in path of gpg is wrong on some systems.
            ("__gpg", str(find_program("gpg") or "gpg")),
        ):
            argv += ["--define", f"{name} {value}"]
        run([*argv, *packages], timeout_s=_SIGN_TIMEOUT_S, env={"GNUPGHOME": str(home)})
    for package in packages:
        verify_rpm_signature(package, key)


def verify_rpm_signature(package: Path, key: SiteKey) -> None:
    """Verify digests and signature of ``package``.

    Raises:
        TrustError: it does not verify; the message has rpm's output.
    """
    with tempfile.TemporaryDirectory(prefix="hardpan-rpmdb-") as name:
        db = ["--define", f"_dbpath {name}"]
        run(["rpm", *db, "--import", key.public], timeout_s=_TIMEOUT_S)
        argv: list[str | Path] = ["rpmkeys", *db, "--define", "_pkgverify_level all", "-Kv"]
        result = run([*argv, package], timeout_s=_SIGN_TIMEOUT_S, ok=(0, 1))
    if result.returncode or "signature" not in result.stdout.lower():
        output = "; ".join(line.strip() for line in result.stdout.splitlines()[1:])
        raise TrustError(f"{package.name}: expected the site's signature, got: {output[-400:]}")


def _gpg_argv(home: Path) -> list[str | Path]:
    return ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty"]


@contextlib.contextmanager
def _short_gnupg_home(home: Path) -> Iterator[Path]:
    """Yield a short link to ``home``: gpg-agent's socket path below it is limited in length."""
    temp_dir = Path(tempfile.mkdtemp(prefix="hp-", dir="/tmp"))
    link = temp_dir / "g"
    link.symlink_to(home.absolute())
    try:
        yield link
    finally:
        run(["gpgconf", "--homedir", link, "--kill", "all"], timeout_s=_TIMEOUT_S, ok=(0, 1, 2))
        shutil.rmtree(temp_dir)
