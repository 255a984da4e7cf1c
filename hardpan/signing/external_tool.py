"""Run the external program that holds a private key."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError, ToolError
from hardpan.core.process import Argv, CompletedProcess, run
from hardpan.signing.public_key import PublicKey

_TIMEOUT_S = 120.0
"""A smart card that makes an RSA signature takes seconds, a queue before an HSM more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTool:
    """A program that has access to a private key."""

    label: str
    """The key, as a person named it."""

    env: Mapping[str, str]
    """Environment variables of the program."""

    refusal_messages: Sequence[str]
    """Texts by which it says that the passphrase or PIN is wrong or missing."""

    hint: str
    """Hint for a missing program."""

    def run(
        self, argv: Argv, *, secret: bytes | None = None, on_stdin: bool = True
    ) -> CompletedProcess:
        """Run it; ``secret`` goes to its stdin where ``piped``, and never to argv or a log.

        Raises:
            InputError: it refused the secret.
            ToolError: it failed otherwise.
        """
        secrets = () if secret is None else (secret.decode("utf-8", "replace"),)
        try:
            return run(
                argv,
                timeout_s=_TIMEOUT_S,
                env=self.env,
                stdin=secret + b"\n" if secret is not None and on_stdin else None,
                secrets=secrets,
                hint=self.hint,
            )
        except ToolError as e:
            if any(text in e.output_tail for text in self.refusal_messages):
                problem = "was refused" if secret is not None else "is needed"
                raise InputError(
                    f"{self.label}: the passphrase or PIN {problem}",
                    hint="tokens and TPMs lock after a few wrong tries"
                    if secret is not None
                    else "--passphrase-file FILE or --passphrase-env NAME",
                ) from e
            raise


@contextmanager
def temp_dir_with(**files: bytes) -> Iterator[Path]:
    """Create a temporary folder with ``files``; it is deleted at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="hardpan-sign-") as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        yield folder


def read_signature(path: Path, public: PublicKey, message: bytes, *, label: str) -> bytes:
    """The signature that a program wrote to ``path``, confirmed by ``public``.

    Raises:
        TrustError: it wrote none, or one that the key does not confirm.
    """
    data = path.read_bytes() if path.is_file() else b""
    return public.confirm_signature(data, message, label=label)
