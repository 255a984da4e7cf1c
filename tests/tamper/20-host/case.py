"""Another host's report."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from hardpan.core.files import sha256_bytes
from hardpan.ssh.host_key_trust import HostKeyTrust
from tests.tamper.kit import Evidence
from tests.tools import sshsig
from tests.unit.evidence import samples


def _uuid(w, found, wanted):
    key = sshsig.fingerprint(w.host)
    host = replace(
        samples.HOST, host_key_sha256=key, product_uuid_sha256=sha256_bytes(found.encode())
    )
    rule = {"host_keys": [key], "product_uuids": [sha256_bytes(wanted.encode())]}
    return Evidence(files=w.made(host=host), policy={"target": rule})


def _proof(w, make):
    return Evidence(files=w.made(proof=make))


def _other(w):
    return Evidence(files=w.made(key=ec.generate_private_key(ec.SECP256R1())))


def _borrowed(w):
    """Another host that says it has the known host key, without having it."""
    other = ec.generate_private_key(ec.SECP256R1())
    return _proof(w, lambda m: sshsig.make_signature(other, m))


def _known(w, how, **more):
    """A scan that knew the host's key in this way; the policy wants it known before."""
    key = sshsig.fingerprint(w.host)
    host = replace(samples.HOST, host_key_sha256=key, host_key_trust=how)
    rule = {"host_keys": [key], "require_known_host_key": True, **more}
    return Evidence(files=w.made(host=host), policy={"target": rule})


def _denied(w, change):
    """First use, and a statement that was changed and signed again."""
    first = _known(w, HostKeyTrust.FIRST_USE)
    changed = replace(w, good=first.files)
    files = changed.changed(lambda s: change(s["predicate"]["target"]["host"]))
    return replace(first, files=files)


VARIANTS = {
    "twin": lambda w: Evidence(files=w.made()),
    "twin: the known product UUID": lambda w: _uuid(w, "a", "a"),
    "another host key": _other,
    "a clone": lambda w: _uuid(w, "a", "b"),
    "another machine id": lambda w: Evidence(
        files=w.good, policy={"target": {"machine_ids": ["0" * 32]}}
    ),
    "a borrowed host key": _borrowed,
    "the proof answers another nonce": lambda w: _proof(
        w, lambda m: sshsig.make_signature(w.host, m.replace(b"nnnn", b"mmmm"))
    ),
    "the proof is for another purpose": lambda w: _proof(
        w, lambda m: sshsig.make_signature(w.host, m, namespace=b"git")
    ),
    "the proof is over other findings": lambda w: _proof(
        w, lambda m: sshsig.make_signature(w.host, m[:-8] + b"0000000\n")
    ),
    "no proof": lambda w: Evidence(files=w.made(proof=lambda _: b"")),
    "no proof, and none is asked for": lambda w: Evidence(
        files=w.made(proof=lambda _: b""), policy={"target": None}
    ),
    "twin: a pinned host key": lambda w: _known(w, HostKeyTrust.PINNED),
    "twin: trusted on first use, and nobody asks": lambda w: _known(
        w, HostKeyTrust.FIRST_USE, require_known_host_key=False
    ),
    "trusted on first use": lambda w: _known(w, HostKeyTrust.FIRST_USE),
    "does not say how the host key was known": lambda w: _known(w, HostKeyTrust.UNKNOWN),
    "first use in the findings, pinned in the statement": lambda w: _denied(
        w, lambda host: host.update(hostKeyTrust="pinned")
    ),
    "first use in the findings, nothing in the statement": lambda w: _denied(
        w, lambda host: host.pop("hostKeyTrust")
    ),
    "a way of knowing that there is not": lambda w: _denied(
        w, lambda host: host.update(hostKeyTrust="certainly")
    ),
}
