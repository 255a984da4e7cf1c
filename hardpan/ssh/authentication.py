"""Log in as OpenSSH's client does: methods and keys in its order, over paramiko."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

import paramiko
from paramiko.message import Message
from paramiko.pkey import PublicBlob

from hardpan.core.errors import HardpanError, InputError
from hardpan.ssh.agent import Agent, AgentKey, open_agent
from hardpan.ssh.errors import LoginAttempts, login_cut_off, login_failed, translate_errors
from hardpan.ssh.identities import Identity, find_access_problem, list_identities
from hardpan.ssh.public_key_blob import key_type_of, plain_type
from hardpan.ssh.target import Target
from hardpan.ssh.unsupported import UnsupportedByParamiko

_KEY_CLASSES: dict[str, type[paramiko.PKey]] = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ssh-rsa": paramiko.RSAKey,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
}
_SECURITY_KEY = "sk-"
_MAX_STEPS = 12
"""Methods that a host can demand one after the other; a hostile one would never end."""

_PKCS8_BEGIN = b"-----BEGIN PRIVATE KEY-----"


def log_in(transport: paramiko.Transport, target: Target) -> None:
    """Authenticate the user of the target on a connection whose host key was checked.

    Raises:
        UnreachableError: no method succeeds, or the host ends the login.
        InputError: the key of ``--identity`` is encrypted, or not a key.
        UnsupportedByParamiko: the login needs what only the system's ssh has.
    """
    with ExitStack() as stack:
        agent_path = target.settings.agent_socket
        agent = stack.enter_context(open_agent(agent_path)) if agent_path else None
        _Login(transport, target, agent).run()


class _Login:
    """The attempts of one login."""

    def __init__(self, transport: paramiko.Transport, target: Target, agent: Agent | None) -> None:
        self._transport = transport
        self._target = target
        self._agent = agent
        identities, skipped = list_identities(target, _list_agent_keys(agent))
        self._identities = iter(identities)
        self._attempts = LoginAttempts(skipped=list(skipped))
        self._unsupported = ""
        self._has_rsa_key = False

    def run(self) -> None:
        allowed = self._attempt_none()
        pending = list(self._target.settings.authentication_methods)
        for _ in range(_MAX_STEPS):
            if self._transport.is_authenticated():
                return
            method = next((m for m in pending if m in allowed), None)
            if method is None:
                raise self._failure(allowed)
            next_methods = self._attempt(method)
            if next_methods is None:
                pending.remove(method)
            else:
                allowed = next_methods
        if not self._transport.is_authenticated():
            raise self._failure(allowed)

    def _attempt_none(self) -> frozenset[str]:
        """Ask for the allowed methods, as ssh does; a host may also let the user in."""
        try:
            with translate_errors(self._target, passing=paramiko.AuthenticationException):
                return frozenset(self._transport.auth_none(self._target.user))
        except paramiko.BadAuthenticationType as e:
            return frozenset(e.allowed_types)
        except paramiko.AuthenticationException as e:
            raise login_cut_off(self._target, self._attempts) from e

    def _attempt(self, method: str) -> frozenset[str] | None:
        """Return the methods that must follow (none after a login); None if it failed."""
        if method == "publickey":
            return self._attempt_keys()
        if not self._target.password:
            return None
        if method == "password":
            return self._send(
                lambda: self._transport.auth_password(
                    self._target.user, self._target.password, fallback=False
                )
            )
        return self._send(
            lambda: self._transport.auth_interactive(self._target.user, self._answer_prompts)
        )

    def _attempt_keys(self) -> frozenset[str] | None:
        for key, identity in self._load_keys():
            self._attempts.tried.append(identity.name)
            offer = functools.partial(self._transport.auth_publickey, self._target.user, key)
            following = self._send(offer)
            if following is not None:
                return following
        return None

    def _load_keys(self) -> Iterator[tuple[paramiko.PKey, Identity]]:
        for identity in self._identities:
            key = self._load_key(identity)
            if key is None:
                continue
            if plain_type(key.get_name()) == "ssh-rsa" and not self._allows_rsa_with_sha2():
                self._unsupported = "RSA signatures with SHA-1 (ssh-rsa)"
                continue
            self._has_rsa_key = self._has_rsa_key or plain_type(key.get_name()) == "ssh-rsa"
            yield key, identity

    def _allows_rsa_with_sha2(self) -> bool:
        allowed = self._target.settings.user_key_algorithms
        return not allowed or any(a.startswith("rsa-sha2-") for a in allowed)

    def _send(self, attempt: Callable[[], Iterable[str]]) -> frozenset[str] | None:
        try:
            with translate_errors(self._target, passing=paramiko.AuthenticationException):
                following = attempt()
        except paramiko.AuthenticationException as e:
            if not self._transport.is_active():
                raise login_cut_off(self._target, self._attempts) from e
            return None
        return frozenset(following)

    def _load_key(self, identity: Identity) -> paramiko.PKey | None:
        if identity.agent_key and self._agent is not None:
            return _AgentSigner(self._agent, identity)
        if identity.file is None:
            return None
        if plain_type(key_type_of(identity.offered)).startswith(_SECURITY_KEY):
            self._unsupported = f"the security key of {identity.file}"
            return None
        if problem := find_access_problem(identity.file):
            self._skip(f"{identity.file} {problem}")
            return None
        return self._load_file(identity)

    def _load_file(self, identity: Identity) -> paramiko.PKey | None:
        """Load a private key; one that cannot be loaded is skipped, unless the user named it."""
        try:
            key = load_private_key(identity)
        except paramiko.PasswordRequiredException as e:
            self._skip(f"{identity.file} is encrypted and not in the agent", e)
            return None
        except Exception as e:  # noqa: BLE001 - cryptography raises types of its own
            if identity.file is not None and _is_pkcs8(identity):
                self._unsupported = f"the private key {identity.file}, which has the format PKCS #8"
            else:
                self._skip(f"{identity.file} is not a private key that can be used: {e}", e)
            return None
        if identity.name != str(identity.file):
            key.public_blob = PublicBlob(key_type_of(identity.offered), identity.offered)
        return key

    def _skip(self, problem: str, cause: Exception | None = None) -> None:
        if self._target.identity is not None:
            hint = "add it to the agent with ssh-add" if "encrypted" in problem else ""
            raise InputError(problem, hint=hint) from cause
        if problem not in self._attempts.skipped:
            self._attempts.skipped.append(problem)

    def _answer_prompts(
        self, _title: str, _instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        self._attempts.prompts += [prompt for prompt, _ in prompts]
        return ["" if has_echo else self._target.password for _, has_echo in prompts]

    def _failure(self, allowed: frozenset[str]) -> HardpanError:
        if self._unsupported:
            return UnsupportedByParamiko(self._target, self._unsupported)
        if self._has_rsa_key and "ssh-rsa" in self._target.settings.user_key_algorithms:
            return UnsupportedByParamiko(self._target, "RSA signatures with SHA-1 (ssh-rsa)")
        for method, needed in self._target.settings.other_methods:
            if not method or method in allowed:
                return UnsupportedByParamiko(self._target, needed)
        return login_failed(self._target, self._attempts, sorted(allowed))


class _AgentSigner(paramiko.PKey):
    """A key or certificate whose signatures the agent makes."""

    def __init__(self, agent: Agent, identity: Identity) -> None:
        super().__init__()
        self.public_blob = PublicBlob(key_type_of(identity.offered), identity.offered)
        self._agent = agent
        self._agent_key = identity.agent_key

    def get_name(self) -> str:
        return key_type_of(self._agent_key)

    def asbytes(self) -> bytes:
        return self._agent_key

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Message:
        try:
            return Message(self._agent.sign(self._agent_key, data, algorithm or ""))
        except (OSError, ValueError):
            # The host rejects it, and the next key is tried; an exception would end the connection.
            return Message()


def _list_agent_keys(agent: Agent | None) -> tuple[AgentKey, ...]:
    if agent is None:
        return ()
    try:
        return agent.list_keys()
    except (OSError, ValueError):
        return ()


def load_private_key(identity: Identity) -> paramiko.PKey:
    """Load the private key file of an identity, without a certificate.

    Raises:
        Exception: whatever paramiko and cryptography raise for it; PasswordRequiredException for
            an encrypted key.
    """
    key_class = _KEY_CLASSES.get(plain_type(key_type_of(identity.offered)))
    if key_class is not None:
        return key_class.from_private_key_file(str(identity.file))
    error: Exception = ValueError("no key of a type that paramiko has")
    for candidate in (paramiko.RSAKey, paramiko.ECDSAKey, paramiko.Ed25519Key):
        try:
            return candidate.from_private_key_file(str(identity.file))
        except paramiko.PasswordRequiredException:
            raise
        except Exception as e:  # noqa: BLE001 - of another type, or damaged
            error = e
    raise error


def _is_pkcs8(identity: Identity) -> bool:
    try:
        return identity.file is not None and _PKCS8_BEGIN in identity.file.read_bytes()
    except OSError:
        return False
