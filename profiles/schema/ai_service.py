"""The section ``ai_service``: a whole AI service on one host, from a few lines.

Nothing secret can be written here: passwords only as slow hashes, API keys only as
digests, and what is left out is made by each machine at its own first start.
Telemetry is no setting, it is always off.
"""

import base64
import binascii
import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hardpan.profiles.schema.frameworks import StackName
from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import HostName, Pattern, StrictBool, StrictInt, Text

MIN_ROUNDS = 210_000
"""PBKDF2-HMAC-SHA512 rounds; OWASP's password storage guide, as of 2026-11-15."""

TRIAL_MODEL = "hardpan-tiny-random"
"""The model that the build itself makes: one GGUF file of random weights."""

MAX_ROUNDS = 10_000_000
"""More would take minutes for each login of anybody: a wrong name takes as long as a right one."""

_HASH = re.compile(r"\$pbkdf2-sha512\$([1-9][0-9]{0,8})\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]+)")
_MIN_SALT_BYTES, _HASH_BYTES = 16, 64
_MIN_PREFIX_LENGTHS = {4: 8, 6: 32}


def _validation_error(
    expected: str, *, kind: Literal["hardpan", "hardpan_secret"]
) -> PydanticCustomError:
    return PydanticCustomError(kind, "{expected}", {"expected": expected})


def _validate_password_hash(text: str) -> str:
    if not text.startswith("$"):
        raise _secret_error("expected a hash, never a password")
    match = _HASH.fullmatch(text)
    if match is None:
        raise _secret_error("expected $pbkdf2-sha512$ROUNDS$SALT$HASH, no other kind of hash")
    try:
        salt, digest = (
            base64.b64decode(part.replace(".", "+") + "=" * (-len(part) % 4), validate=True)
            for part in match.groups()[1:]
        )
    except binascii.Error as e:
        raise _secret_error("expected a whole hash, this one is cut or damaged") from e
    if len(salt) < _MIN_SALT_BYTES or len(digest) != _HASH_BYTES:
        raise _secret_error("expected a salt of 16 bytes or more and a hash of 64")
    if int(match[1]) < MIN_ROUNDS:
        raise _secret_error(f"expected {MIN_ROUNDS} rounds or more, found {match[1]}")
    if int(match[1]) > MAX_ROUNDS:
        raise _secret_error(f"expected {MAX_ROUNDS} rounds or less, found {match[1]}")
    return text


def _secret_error(expected: str) -> PydanticCustomError:
    return _validation_error(
        f"{expected} (make one with 'hardpan hash-password')", kind="hardpan_secret"
    )


def _validate_sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise _validation_error(
            "expected the sha256 of the key as 64 lower-case hex digits, never the key",
            kind="hardpan_secret",
        )
    return text


def _validate_network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as e:
        raise _validation_error(
            "expected an address or network as 10.1.2.3 or 10.1.2.0/24, never a name",
            kind="hardpan",
        ) from e
    if network.prefixlen < _MIN_PREFIX_LENGTHS[network.version]:
        raise _validation_error(
            f"expected a network of /{_MIN_PREFIX_LENGTHS[network.version]} or smaller",
            kind="hardpan",
        )
    return str(network)


LoginName = Annotated[
    str, Pattern(r"[a-z][a-z0-9._-]{0,30}", "a login name of a-z, 0-9, '.', '_' and '-', up to 31")
]
ModelName = Annotated[
    str,
    Pattern(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_-]{1,62}){0,7}",
        "the name of a folder below /opt/ai/models",
    ),
]
ModelFile = Annotated[
    str, Pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.gguf", "the name of a .gguf file")
]
SlowHash = Annotated[str, AfterValidator(_validate_password_hash)]
Sha256Hex = Annotated[str, AfterValidator(_validate_sha256)]
Network = Annotated[str, AfterValidator(_validate_network)]
SitePath = Annotated[
    str,
    Pattern(
        r"/etc/(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}/){1,6}[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}",
        "a file below /etc, e.g. /etc/pki/tls/certs/ai.pem",
    ),
]


class ModelServer(ProfileSection):
    """The program that runs the model, and the model."""

    engine: Literal["llama_cpp", "vllm"] = "llama_cpp"
    """``llama_cpp`` computes on the processor, ``vllm`` on GPUs; no test of ours had a GPU."""

    stack: StackName = "serving"
    """The stack of ``frameworks`` that holds the engine; all services run on its Python."""

    model: ModelName = TRIAL_MODEL
    """Folder below /opt/ai/models. The default is made by the build, for ``llama_cpp``; it proves
    serving, not wit."""

    file: ModelFile | None = None
    """The model's file in that folder, ``model.gguf`` if left out (``llama_cpp``); ``vllm`` reads
    every safetensors file there."""

    context: StrictInt = Field(default=2048, ge=256, le=1_048_576)
    """Tokens a conversation may have, question and answer together."""

    threads: StrictInt = Field(default=0, ge=0, le=1024)
    """Processor threads (``llama_cpp``); 0 takes as many as the machine has."""

    gpus: StrictInt = Field(default=1, ge=1, le=16)
    """GPUs of this host that share the model, tensor parallel (``vllm``)."""

    @property
    def folder(self) -> str:
        """Where the model lies on the host."""
        return f"/opt/ai/models/{self.model}"

    @property
    def weights(self) -> str:
        """The file that tells which model it is: its own, or the list of digests of its many."""
        name = "SHA256SUMS" if self.engine == "vllm" else self.file or "model.gguf"
        return f"{self.folder}/{name}"


class SiteCertificate(ProfileSection):
    """The site's own certificate, put on the machine by the site; never part of the image."""

    certificate_file: SitePath
    """PEM file on the machine: the certificate and what leads to its root."""

    key_file: SitePath
    """PEM file on the machine that root alone can read; the proxy gets it handed in."""


class UserLogin(ProfileSection):
    """A person who may use the chat page."""

    name: LoginName
    """What is typed in to log in; no account of the system."""

    password_hash: SlowHash | None = None
    """As ``hardpan hash-password`` prints it; left out, each machine makes a password of its own."""


class ApiKey(ProfileSection):
    """A program that may use the service, known by the digest of its key."""

    name: LoginName
    """Whose key it is; stands in the log and beside documents."""

    sha256: Sha256Hex
    """SHA-256 of the key, which must hold 128 bits of chance or more."""

    scopes: tuple[Literal["chat", "documents"], ...] = Field(default=("chat",), min_length=1)
    """What it opens: the model under /v1/, the knowledge base under /kb/."""


class QuotaSettings(ProfileSection):
    """What one user, or one API key, may keep in the knowledge base."""

    documents: StrictInt = Field(default=500, ge=1, le=10_000)
    """Documents."""

    text_mib: StrictInt = Field(default=32, ge=1, le=1024)
    """Size of their texts together."""

    chunks: StrictInt = Field(default=20_000, ge=1, le=200_000)
    """Chunks of about 100 words that they are split into; each takes 1.5 KiB of memory, and all users
    together have 200,000."""


class EgressRule(ProfileSection):
    """One way out for the AI services; all others are denied and counted."""

    address: Network
    """Address or network, e.g. ``10.1.2.0/24``."""

    port: StrictInt = Field(ge=1, le=65535)
    """TCP port."""

    reason: Text
    """What needs it."""


class AiService(ProfileSection):
    """A chat page, a model, a knowledge base, logins, TLS and no way out."""

    host_name: HostName
    """The name people type into their browser; the certificate is made out to it."""

    server: ModelServer = ModelServer()
    certificate: SiteCertificate | None = None
    """Left out, each machine makes a key and a certificate of its own at its first start."""

    users: tuple[UserLogin, ...] = ()
    """Who may log in."""

    api_keys: tuple[ApiKey, ...] = ()
    """Which programs may call the service."""

    machine_api_key: StrictBool = True
    """Whether each machine makes an API key of its own, of 256 bits, at its first start."""

    session_hours: StrictInt = Field(default=8, ge=1, le=24)
    """How long a login lasts."""

    document_kib: StrictInt = Field(default=1024, ge=1, le=16384)
    """Size that one document may have."""

    quota: QuotaSettings = QuotaSettings()
    """Share of each user, so that no one fills the knowledge base."""

    egress: tuple[EgressRule, ...] = ()
    """Ways out; none unless listed."""
