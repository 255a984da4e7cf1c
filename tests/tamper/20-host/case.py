"""Another host's report."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from hardpan.core.files import sha256_bytes
from hardpan.ssh.host_key_trust import HostKeyTrust
from tests.tamper.kit import Evidence
from tests.tools import sshsig
from tests.unit.evidence import samples


def _uuid(kit, actual, expected):
    key = sshsig.fingerprint(kit.host_key)
    host = replace(
        samples.HOST, host_key_sha256=key, product_uuid_sha256=sha256_bytes(actual.encode())
    )
    rule = {"host_keys": [key], "product_uuids": [sha256_bytes(expected.encode())]}
    return Evidence(files=kit.sign_scan(host=host), policy={"target": rule})


def _proof(kit, make):
    return Evidence(files=kit.sign_scan(proof=make))


def _other(kit):
    return Evidence(files=kit.sign_scan(key=ec.generate_private_key(ec.SECP256R1())))


def _borrowed(kit):
    """Another host that claims the known host key without having it."""
    other = ec.generate_private_key(ec.SECP256R1())
    return _proof(kit, lambda m: sshsig.make_signature(other, m))


def _with_host_key_trust(kit, how, **more):
    """Sign a scan with this kind of host key trust; the policy requires a key known before."""
    key = sshsig.fingerprint(kit.host_key)
    host = replace(samples.HOST, host_key_sha256=key, host_key_trust=how)
    rule = {"host_keys": [key], "require_verified_host_key": True, **more}
    return Evidence(files=kit.sign_scan(host=host), policy={"target": rule})


def _denied(kit, change):
    """Trust on first use, and a statement that was changed and signed again."""
    first = _with_host_key_trust(kit, HostKeyTrust.FIRST_USE)
    changed = replace(kit, valid_files=first.files)
    files = changed.resign_changed(lambda s: change(s["predicate"]["target"]["host"]))
    return replace(first, files=files)


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.sign_scan()),
    "control: the known product UUID": lambda kit: _uuid(kit, "a", "a"),
    "another host key": _other,
    "a clone": lambda kit: _uuid(kit, "a", "b"),
    "another machine id": lambda kit: Evidence(
        files=kit.valid_files, policy={"target": {"machine_ids": ["0" * 32]}}
    ),
    "a borrowed host key": _borrowed,
    "host signature over another nonce": lambda kit: _proof(
        kit, lambda m: sshsig.make_signature(kit.host_key, m.replace(b"nnnn", b"mmmm"))
    ),
    "host signature for another purpose": lambda kit: _proof(
        kit, lambda m: sshsig.make_signature(kit.host_key, m, namespace=b"git")
    ),
    "host signature over other findings": lambda kit: _proof(
        kit, lambda m: sshsig.make_signature(kit.host_key, m[:-8] + b"0000000\n")
    ),
    "no host signature": lambda kit: Evidence(files=kit.sign_scan(proof=lambda _: b"")),
    "no host signature, none required": lambda kit: Evidence(
        files=kit.sign_scan(proof=lambda _: b""), policy={"target": None}
    ),
    "control: a pinned host key": lambda kit: _with_host_key_trust(kit, HostKeyTrust.PINNED),
    "control: first use, not restricted by the policy": lambda kit: _with_host_key_trust(
        kit, HostKeyTrust.FIRST_USE, require_verified_host_key=False
    ),
    "trusted on first use": lambda kit: _with_host_key_trust(kit, HostKeyTrust.FIRST_USE),
    "does not say how the host key was known": lambda kit: _with_host_key_trust(
        kit, HostKeyTrust.UNKNOWN
    ),
    "first use in the findings, pinned in the statement": lambda kit: _denied(
        kit, lambda host: host.update(hostKeyTrust="pinned")
    ),
    "first use in the findings, nothing in the statement": lambda kit: _denied(
        kit, lambda host: host.pop("hostKeyTrust")
    ),
    "unknown kind of host key trust": lambda kit: _denied(
        kit, lambda host: host.update(hostKeyTrust="certainly")
    ),
}
