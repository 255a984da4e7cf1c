"""OpenPGP keys and signatures of tests, made by gpg."""

from dataclasses import dataclass
from pathlib import Path

from hardpan.core.process import run


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPgpKey:
    """A key pair in a GnuPG home of its own."""

    home: Path
    public_key: Path
    fingerprint: str

    def sign_detached(self, path: Path, suffix: str = ".asc") -> Path:
        """Write the armored signature next to ``path`` and return it."""
        signature = path.with_name(path.name + suffix)
        _gpg(self.home, "--yes", "--armor", "--output", signature, "--detach-sign", path)
        return signature

    def sign_message(self, path: Path, destination: Path) -> None:
        """Write the text of ``path`` and its signature as one message."""
        _gpg(self.home, "--yes", "--armor", "--output", destination, "--sign", path)

    def sign_cleartext(self, path: Path) -> None:
        """Replace ``path`` with its text in a cleartext signature."""
        signed = path.with_name(path.name + ".signed")
        _gpg(self.home, "--yes", "--output", signed, "--clearsign", path)
        signed.replace(path)


def create_key(home: Path) -> OpenPgpKey:
    """Create a key; ``home`` must have a short path, for the socket of gpg-agent."""
    home.mkdir(mode=0o700, parents=True)
    argv = ["--passphrase", "", "--quick-generate-key", "Releases <releases@example.org>"]
    _gpg(home, *argv, "ed25519", "sign", "never")
    listing = _gpg(home, "--with-colons", "--list-keys")
    fingerprint = next(x.split(":")[9] for x in listing.splitlines() if x.startswith("fpr:"))
    public_key = home / "public.asc"
    _gpg(home, "--armor", "--output", public_key, "--export")
    return OpenPgpKey(home=home, public_key=public_key, fingerprint=fingerprint)


def stop_agent(home: Path) -> None:
    """Stop the gpg-agent of ``home``."""
    run(["gpgconf", "--homedir", home, "--kill", "all"], timeout_s=30, ok=(0, 1, 2))


def _gpg(home: Path, *argv: str | Path) -> str:
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty", *argv]
    return run(command, timeout_s=60).stdout
