"""Decide whether a host key or certificate is the one of a target, as OpenSSH's client decides.

Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; ssh_config(5), StrictHostKeyChecking. hardpan is
always strict: NoHostAuthenticationForLocalhost and StrictHostKeyChecking are not followed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from hardpan.core.errors import HardpanError, TrustError
from hardpan.ssh.certificate import Certificate, find_problem, parse_certificate
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.host_key_sources import HostKeySources, collect_host_keys, find_revocation
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.known_hosts import ListedHostKeys, ListedKey, format_host
from hardpan.ssh.public_key_blob import (
    decode_base64,
    is_certificate_type,
    key_type_of,
    plain_type,
    rsa_bits,
)
from hardpan.ssh.target import Target
from hardpan.ssh.unsupported import UnsupportedByParamiko

PARAMIKO_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""Host key algorithms of paramiko 5, without certificates, in OpenSSH's order."""

_CERTIFICATE_TYPES = tuple(f"{kind}-cert-v01@openssh.com" for kind in PARAMIKO_KEY_TYPES)
_PLAIN_TYPES = frozenset(plain_type(kind) for kind in PARAMIKO_KEY_TYPES)

VerifySignature = Callable[[bytes, bytes, bytes], bool]
"""Public key blob, signed bytes, signature blob -> whether the signature is the key's."""


class _Status(Enum):
    """As OpenSSH's HostStatus."""

    LISTED = auto()
    NEW = auto()
    CHANGED = auto()
    REVOKED = auto()


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """The key with which the host signed the key exchange."""

    blob: bytes
    """The plain public key."""

    certificate: bytes = b""
    """The certificate that the host sent for it; empty: none."""

    def __str__(self) -> str:
        return f"{key_type_of(self.blob)} {fingerprint(self.blob)}"


class HostKeyCheck:
    """The check of one connection: which algorithms to offer, then whether the key is accepted."""

    def __init__(self, target: Target, verify_signature: VerifySignature) -> None:
        self._target = target
        self._verify_signature = verify_signature
        self._name = target.host_key_alias or format_host(target.host, target.port)
        self._certificate_problem = ""
        self._unreadable: tuple[str, ...] = ()

    def order_algorithms(self) -> tuple[str, ...]:
        """Return the host key algorithms to offer, those of listed keys first.

        Raises:
            UnsupportedByParamiko: the settings allow none that paramiko has.
        """
        allowed = self._target.settings.host_key_algorithms or (
            *_CERTIFICATE_TYPES,
            *PARAMIKO_KEY_TYPES,
        )
        usable = [a for a in allowed if a in PARAMIKO_KEY_TYPES or a in _CERTIFICATE_TYPES]
        if self._target.host_keys:
            usable = [a for a in usable if a in PARAMIKO_KEY_TYPES]
        if not usable:
            raise UnsupportedByParamiko(self._target, f"host keys of the type {allowed[0]}")
        if self._target.settings.has_host_key_order:
            return tuple(usable)
        keys = self._pinned_keys() if self._target.host_keys else self._collect("ORDER").keys
        return order_by_listed_keys(usable, keys)

    def check(self, offered: OfferedKey) -> HostKeyTrust:
        """Return why the key is accepted.

        Raises:
            TrustError: it is unknown, not the listed one, or revoked.
            UnsupportedByParamiko: the listed keys are of types that paramiko cannot verify.
        """
        self._refuse_short_key(offered)
        certificate = self._parse_certificate(offered)
        self._refuse_revoked_by_file(offered, certificate)
        if self._target.host_keys:
            return self._check_pinned(offered)
        status, sources = self._check_name(self._name, offered, certificate)
        if status is _Status.LISTED:
            return HostKeyTrust.KNOWN_HOSTS
        if status is _Status.REVOKED:
            raise self._revoked(offered, "a key that known_hosts does not mark @revoked")
        if status is _Status.NEW and self._target.trust_new_host_key:
            return HostKeyTrust.FIRST_USE
        self._refuse_unsupported_types(sources.keys)
        raise self._changed(offered, sources) if status is _Status.CHANGED else self._new(offered)

    def _check_name(
        self, name: str, offered: OfferedKey, certificate: Certificate | None
    ) -> tuple[_Status, HostKeySources]:
        sources = self._collect("HOSTNAME", name, offered.certificate or offered.blob)
        if certificate is not None:
            status = self._check_certificate(name, sources.keys, offered, certificate)
            if status in (_Status.LISTED, _Status.REVOKED):
                return status, sources
        status = compare_key(sources.keys, offered.blob)
        if status is _Status.NEW:
            status = self._check_bare_name(name, offered, None)
        return status, sources

    def _check_certificate(
        self, name: str, keys: ListedHostKeys, offered: OfferedKey, certificate: Certificate
    ) -> _Status:
        status = compare_certificate(keys, offered.blob, certificate.authority)
        if status is _Status.REVOKED:
            return status
        if status is _Status.LISTED:
            problem = find_problem(
                certificate,
                self._target.host_key_alias or self._target.host.lower(),
                time.time(),
                self._target.settings.ca_algorithms,
            )
            self._certificate_problem = problem
            return _Status.NEW if problem else status
        if self._check_bare_name(name, offered, certificate) is _Status.LISTED:
            return _Status.LISTED
        if not self._certificate_problem:
            self._certificate_problem = "known_hosts does not list its authority for this host"
        return status

    def _check_bare_name(
        self, name: str, offered: OfferedKey, certificate: Certificate | None
    ) -> _Status:
        """Look an unlisted key up for the host without its port, as ssh also does."""
        target = self._target
        if target.host_key_alias or target.port == 22 or name == target.host:
            return _Status.NEW
        status, _ = self._check_name(target.host, offered, certificate)
        return _Status.NEW if status is _Status.CHANGED else status

    def _parse_certificate(self, offered: OfferedKey) -> Certificate | None:
        if not offered.certificate:
            return None
        try:
            certificate = parse_certificate(offered.certificate)
        except ValueError as e:
            raise TrustError(f"{self._target}: the host certificate is damaged: {e}") from e
        if certificate.public_key != offered.blob or not self._verify_signature(
            certificate.authority, certificate.signed, certificate.signature
        ):
            if plain_type(key_type_of(certificate.authority)) not in _PLAIN_TYPES:
                kind = key_type_of(certificate.authority)
                raise UnsupportedByParamiko(self._target, f"a host certificate signed by {kind}")
            raise TrustError(
                f"{self._target}: the host certificate is not signed by its authority "
                f"{fingerprint(certificate.authority)}"
            )
        return certificate

    def _check_pinned(self, offered: OfferedKey) -> HostKeyTrust:
        keys = self._pinned_keys()
        if compare_key(keys, offered.blob) is _Status.LISTED:
            return self._target.pinned_by
        raise self._changed(offered, HostKeySources(keys, ()))

    def _pinned_keys(self) -> ListedHostKeys:
        blobs = [decode_base64(line.partition(" ")[2]) for line in self._target.host_keys]
        return ListedHostKeys(listed=tuple(ListedKey(key_type_of(b), b) for b in blobs))

    def _collect(self, invocation: str, name: str = "", offered: bytes = b"") -> HostKeySources:
        sources = collect_host_keys(
            self._target, name or self._name, invocation=invocation, offered=offered
        )
        self._unreadable = sources.unreadable
        return sources

    def _refuse_short_key(self, offered: OfferedKey) -> None:
        bits = rsa_bits(offered.blob)
        if bits and bits < self._target.settings.min_rsa_bits:
            raise TrustError(
                f"{self._target}: the host key is too short: expected an RSA key of at least "
                f"{self._target.settings.min_rsa_bits} bits (RequiredRSASize), got {bits}"
            )

    def _refuse_revoked_by_file(self, offered: OfferedKey, certificate: Certificate | None) -> None:
        blobs: tuple[bytes, ...] = (offered.blob,)
        if certificate is not None:
            blobs = (offered.certificate, offered.blob, certificate.authority)
        if file := find_revocation(self._target, blobs):
            raise self._revoked(offered, f"a key that {file} (RevokedHostKeys) does not list")

    def _refuse_unsupported_types(self, keys: ListedHostKeys) -> None:
        for key in (*keys.listed, *keys.authorities):
            if plain_type(key.kind) not in _PLAIN_TYPES:
                raise UnsupportedByParamiko(self._target, f"a host key of the type {key.kind}")

    def _revoked(self, offered: OfferedKey, expected: str) -> HardpanError:
        return TrustError(
            f"{self._target}: the host key is revoked: expected {expected}, got {offered}",
            hint="another machine may have that key; find out who revoked it, and why",
        )

    def _changed(self, offered: OfferedKey, sources: HostKeySources) -> HardpanError:
        listed = ", ".join(_describe(key.blob) for key in sources.keys.listed[:4])
        return TrustError(
            f"{self._target}: the host key is not the expected one: expected {listed}, "
            f"got {_describe(offered.blob)}{self._describe_certificate()}",
            hint="another machine answers, or the host was reinstalled; find out which first",
        )

    def _new(self, offered: OfferedKey) -> HardpanError:
        hint = (
            "compare that with the host's own console (ssh-keygen -lf), then add it to "
            "known_hosts or pin it with --host-key"
        )
        if self._unreadable:
            hint = f"these files cannot be read: {', '.join(self._unreadable)}; otherwise {hint}"
        return TrustError(
            f"{self._target}: unknown host key; it offers {offered}{self._describe_certificate()}",
            hint=hint,
        )

    def _describe_certificate(self) -> str:
        if not self._certificate_problem:
            return ""
        return f"; its certificate is not accepted: {self._certificate_problem}"


def _describe(blob: bytes) -> str:
    return f"{fingerprint(blob)} ({key_type_of(blob)})"


def compare_key(keys: ListedHostKeys, blob: bytes) -> _Status:
    """Compare a plain key with the listed ones."""
    if blob in keys.revoked:
        return _Status.REVOKED
    if any(key.blob == blob for key in keys.listed):
        return _Status.LISTED
    return _Status.CHANGED if keys.listed else _Status.NEW


def compare_certificate(keys: ListedHostKeys, blob: bytes, authority: bytes) -> _Status:
    """Compare the authority of a certificate with the listed ones."""
    if keys.revoked & {blob, authority}:
        return _Status.REVOKED
    if any(key.blob == authority for key in keys.authorities):
        return _Status.LISTED
    return _Status.NEW


def order_by_listed_keys(algorithms: Sequence[str], keys: ListedHostKeys) -> tuple[str, ...]:
    """Put the algorithms of listed keys first, and all of certificates if an authority is listed.

    The order is unchanged if a key of the first algorithm's type is listed: otherwise a host could
    be asked for a weaker type than necessary.
    """
    first_keys = {key.kind: key.blob for key in reversed(keys.listed)}
    kinds = {kind for kind, blob in first_keys.items() if blob not in keys.revoked}
    if plain_type(algorithms[0]) in kinds:
        return tuple(algorithms)

    def is_preferred(algorithm: str) -> bool:
        if is_certificate_type(algorithm) and keys.authorities:
            return True
        return plain_type(algorithm) in kinds

    return tuple(sorted(algorithms, key=lambda algorithm: not is_preferred(algorithm)))
