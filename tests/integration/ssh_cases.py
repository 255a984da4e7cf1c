"""Generated SSH cases: a client configuration, known_hosts and an sshd, all from one seed."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hardpan.core.process import find_program
from tests.integration.ssh_world import HOST_CERTIFICATES, World, hash_name

_T = TypeVar("_T")
_AGENTS = ("agent", "full", "empty")
_TYPES = ("ed25519", "ecdsa", "rsa")
_GARBAGE = (
    b"@unknown web ssh-ed25519 AAAA",
    b"web ssh-ed25519 not-base64!!",
    b"web ssh-foo AAAAB3NzaC1yc2E=",
    b"@revoked web\0 ssh-ed25519 AAAA",
    b"web",
    b"# web ssh-ed25519 AAAA",
    b"elsewhere ssh-ed25519 AAAA # B\xfcro",
    b"@cert-authority *.example.com ssh-ed25519 AAAA",
    b"",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One connection; ``description`` says what was chosen."""

    folder: Path
    config: Path
    description: str


class CaseWriter:
    """Writes the files of one case."""

    def __init__(self, world: World, folder: Path, seed: int) -> None:
        self._world = world
        self._folder = folder
        self._random = random.Random(seed)  # noqa: S311
        self._choices: list[str] = []
        self._client: list[str] = []
        self._has_few_attempts = False
        self._forms = ["pair", "pair", "pair", "private", "public", "open", "cert"]

    def write(self) -> Case:
        self._folder.mkdir()
        self._client.append("User root")
        self._port = self._choose("port", [22, 2222])
        self._client.append(f"Port {self._port}")
        self._alias = self._choose("alias", ["", "", "", "Alias"])
        self._is_host_listed = self._is_chosen("good host", 0.5)
        self._has_good_user = self._is_chosen("good user", 0.6)
        host_keys = self._choose_host_keys()
        self._write_known_hosts(host_keys)
        self._write_trust_settings(host_keys)
        sshd = self._write_sshd(host_keys)
        self._write_user_keys()
        self._client.append(f"ProxyCommand {find_program('sshd')} -i -f {sshd}")
        config = self._folder / "config"
        config.write_text(self._render_config())
        return Case(self._folder, config, ", ".join(self._choices))

    def _render_config(self) -> str:
        headers = ["Host web", "Host w* !x*", "Match originalhost web", "Match host web user root"]
        header = self._choose("header", headers)
        settings = "".join(f"  {line}\n" for line in self._client)
        if self._is_chosen("include", 0.2):
            included = self._folder / "included"
            included.write_text(f"{header}\n{settings}")
            settings, header = f"  Include {included}\n", "Host *"
        return f"Host other\n  User nobody\nMatch exec false\n  User nobody\n{header}\n{settings}"

    def _choose(self, name: str, values: list[_T]) -> _T:
        value = self._random.choice(values)
        self._choices.append(f"{name}={value}")
        return value

    def _is_chosen(self, name: str, probability: float) -> bool:
        is_chosen = self._random.random() < probability
        if is_chosen:
            self._choices.append(name)
        return is_chosen

    def _choose_host_keys(self) -> list[str]:
        kinds = self._choose("host keys", [["ed25519"], ["rsa"], ["ecdsa"], [*_TYPES], [*_TYPES]])
        return [f"host_{kind}" for kind in kinds]

    def _write_known_hosts(self, host_keys: list[str]) -> None:
        files = [self._folder / "known hosts", self._folder / "more", self._folder / "global"]
        lines: list[list[bytes]] = [[], [], []]
        for _ in range(self._choose("lines", [1, 1, 2, 3, 4])):
            self._random.choice(lines).append(self._known_hosts_line(host_keys))
        for _ in range(self._random.randrange(3)):
            self._random.choice(lines).insert(0, self._random.choice(_GARBAGE))
        if self._is_host_listed:
            name = self._alias.lower() or (f"[web]:{self._port}" if self._port != 22 else "web")
            key = self._choose("right key", host_keys)
            lines = [[], [f"{name} {self._world.public_key(key)}".encode()], []]
        for path, content in zip(files, lines, strict=True):
            if content or self._random.random() < 0.5:
                end = b"\r\n" if self._is_chosen("CRLF", 0.1) else b"\n"
                path.write_bytes(end.join(content) + end)
        self._client += [
            f'UserKnownHostsFile "{files[0]}" {files[1]} {self._folder}/missing',
            f"GlobalKnownHostsFile {files[2]}",
        ]

    def _known_hosts_line(self, host_keys: list[str]) -> bytes:
        names = self._known_hosts_names()
        marker = self._choose("marker", ["", "", "", "", "@cert-authority ", "@revoked "])
        keys = [*host_keys, *host_keys, "other_ed25519", "other_rsa"]
        if marker:
            keys += ["ca_1", "ca_1", "ca_rsa"]
        if marker.startswith("@cert"):
            keys = ["ca_1", "ca_1", "ca_rsa", "other_ed25519"]
        key = self._choose("key", keys)
        separator = self._random.choice([" ", " ", "\t"])
        key_text = self._world.public_key(key).replace(" ", separator)
        return f"{marker}{names}{separator}{key_text} a comment".encode()

    def _known_hosts_names(self) -> str:
        name = f"[web]:{self._port}" if self._port != 22 else "web"
        name = self._alias.lower() or name
        return self._choose(
            "names",
            [
                *[name] * 5,
                f"x,{name.upper()},y",
                hash_name(name),
                f"{hash_name(name)},{name}",
                "web",
                "w?b",
                "*",
                f"*,!{name}",
                "!other,*",
                "elsewhere",
                "[web]:2*",
                f"[{name}]:22",
            ],
        )

    def _write_trust_settings(self, host_keys: list[str]) -> None:
        if self._alias:
            self._client.append(f"HostKeyAlias {self._alias}")
        if self._is_chosen("RevokedHostKeys", 0.1 if self._is_host_listed else 0.2):
            revoked = self._folder / "revoked"
            revoked.write_text(f"# list\n{self._world.public_key('other_rsa')}\n")
            key = self._choose("revoked", [*host_keys, "ca_1", "other_ed25519"])
            listed = self._folder / "listed"
            listed.write_text(f"\n {self._world.public_key(key)} x\n")
            damaged = self._folder / "damaged"
            damaged.write_text("no key\n")
            files = [revoked, listed, damaged, self._folder / "missing"]
            files += [self._world.path(name) for name in ("krl", "krl_ca", "krl_other")]
            self._client.append(f"RevokedHostKeys {self._choose('list', files)}")
        if self._is_chosen("KnownHostsCommand", 0.15):
            self._write_known_hosts_command(host_keys)
        if self._is_chosen("HostKeyAlgorithms", 0.2):
            algorithms = [
                "rsa-sha2-512,ssh-ed25519",
                "ssh-ed25519",
                "ecdsa-sha2-nistp256,ssh-ed25519-cert-v01@openssh.com",
                "-ssh-ed25519",
                "+ssh-rsa",
                "^rsa-sha2-256",
            ]
            self._client.append(f"HostKeyAlgorithms {self._choose('algorithms', algorithms)}")
        if self._is_chosen("CASignatureAlgorithms", 0.1):
            algorithms = ["ssh-ed25519", "rsa-sha2-512", "-rsa-sha2-512"]
            self._client.append(f"CASignatureAlgorithms {self._choose('algorithms', algorithms)}")

    def _write_known_hosts_command(self, host_keys: list[str]) -> None:
        script = self._folder / "command"
        key = self._world.public_key(self._choose("printed", [*host_keys, "other_ed25519"]))
        status = self._choose("status", [0, 0, 0, 1])
        script.write_text(f'#!/bin/sh\n[ "$2" = %H ] || echo "$1 {key}"\nexit {status}\n')
        script.chmod(0o755)
        self._client.append(f"KnownHostsCommand {script} %H %t")

    def _write_sshd(self, host_keys: list[str]) -> Path:
        lines = [f"HostKey {self._world.path(key)}" for key in host_keys]
        if self._is_chosen("host certificate", 0.45):
            name = self._choose("certificate", ["good", "good", *HOST_CERTIFICATES])
            lines += [f"HostCertificate {self._world.certificate(key, name)}" for key in host_keys]
        users = self._folder / "authorized_keys"
        accepted = [["user_ed25519"], ["user_rsa", "user_ecdsa"], ["user_rsa"], ["locked"], []]
        keys = self._choose("authorized", [*accepted[:3], *accepted])
        if self._has_good_user:
            keys = self._choose("authorized", accepted[:3])
        self._authorized = keys
        users.write_text("".join(f"{self._world.public_key(key)}\n" for key in keys))
        lines += [
            f"AuthorizedKeysFile {users}",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "LogLevel QUIET",
        ]
        if self._is_chosen("user CA", 0.35):
            lines.append(f"TrustedUserCAKeys {self._world.path('ca_1')}.pub")
        if self._is_chosen("MaxAuthTries", 0.2):
            # ssh also offers keys that it cannot sign with, and the host counts those attempts.
            self._forms = ["pair", "private", "cert"]
            self._has_few_attempts = True
            lines.append(f"MaxAuthTries {self._choose('tries', [1, 2, 3])}")
        if self._is_chosen("two keys", 0.1):
            lines.append("AuthenticationMethods publickey,publickey")
        if self._is_chosen("no keys", 0.05):
            lines.append("PubkeyAuthentication no")
        config = self._folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        return config

    def _write_user_keys(self) -> None:
        names = ["user_ed25519", "user_rsa", "user_ecdsa", "spare_1", "spare_2", "locked"]
        if self._has_few_attempts:
            names.remove("locked")
        chosen = self._random.sample(names, self._choose("identities", [0, 1, 1, 2, 3]))
        if self._has_good_user:
            chosen.append(self._random.choice(self._authorized))
        self._choices.append(f"identity files={chosen}")
        for name in chosen:
            self._client.append(f'IdentityFile "{self._copy_identity(name)}"')
        if not chosen:
            self._client.append("IdentityFile none")
        agents = ["none", "none", *(str(self._world.folder / f"{n}.sock") for n in _AGENTS)]
        self._client.append(f"IdentityAgent {self._choose('agent', agents)}")
        if self._is_chosen("IdentitiesOnly", 0.3):
            self._client.append("IdentitiesOnly yes")
        if not self._has_few_attempts and self._is_chosen("CertificateFile", 0.25):
            names = ["user_ed25519.user", "user_rsa.user", "user_ed25519.expired_user"]
            name = self._choose("certificate", [*names, "host_ed25519.not_a_host"])
            self._client.append(f"CertificateFile {self._world.folder}/{name}-cert.pub")
        if self._is_chosen("PubkeyAcceptedAlgorithms", 0.1):
            algorithms = ["rsa-sha2-256", "-ssh-ed25519", "ssh-ed25519,rsa-sha2-512", "ssh-rsa"]
            self._client.append(f"PubkeyAcceptedAlgorithms {self._choose('accepted', algorithms)}")

    def _copy_identity(self, name: str) -> Path:
        """Copy a key pair, so that a certificate, a mode or a missing half is this case's."""
        path = self._folder / f"my {name}"
        form = self._choose("form", self._forms)
        public = (self._world.folder / f"{name}.pub").read_text()
        if form == "public":
            path.write_text(public)
            return path
        path.write_bytes(self._world.path(name).read_bytes())
        path.chmod(0o644 if form == "open" else 0o600)
        if form != "private":
            path.with_name(path.name + ".pub").write_text(public)
        if form == "cert" and name in ("user_ed25519", "user_rsa"):
            certificate = self._world.certificate(name, "user").read_text()
            path.with_name(path.name + "-cert.pub").write_text(certificate)
        return path
