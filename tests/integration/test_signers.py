"""Keys where sites store them: SoftHSM, a software TPM, the system's openssl. All real.

With each signer the evidence is the same, and third-party tools accept it.
"""

import os
import re
import socket
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.core import events
from hardpan.core.errors import InputError, ToolError
from hardpan.core.process import CompletedProcess, find_program, run, spawn
from hardpan.scanners.evidence.file_names import PQ_ENVELOPE
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.verify.verifier import verify
from hardpan.signing import (
    PassphraseSource,
    Signer,
    create_signer,
    load_pq_signer,
    load_signer,
    pae,
)
from hardpan.workflow.key_set import create_keys
from tests.tools.get_cosign import find_cosign
from tests.tools.get_openssl import find_openssl35, read_version
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT, NOW

pytestmark = pytest.mark.integration

_PIN, _AUTH = "271828", "correct horse"
_BLOCK = re.compile(r"^```sh (?P<name>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TPM_KEY = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The references by which a kind of key is named, and what opens them."""

    ec: str
    rsa: str
    unlock: PassphraseSource
    secret: str


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    """A token with a decoy and two keys; the decoy is the first private key there is."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    pin = _private(folder / "pin", f"{_PIN}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(config))
        env = {"SOFTHSM2_CONF": str(config), "PIN": _PIN}
        module = _softhsm_module()
        token = ["--init-token", "--free", "--label", "site hsm", "--so-pin", "0000"]
        run(["softhsm2-util", *token, "--pin", _PIN], timeout_s=60, env=env)
        for key_id, label, kind in (
            ("01", "decoy", "EC:prime256v1"),
            ("0a", "scan", "EC:prime256v1"),
            ("0b", "scan-rsa", "rsa:3072"),
            ("0c", "weak", "rsa:2048"),
        ):
            keygen_args = ["--keypairgen", "--key-type", kind, "--label", label, "--id", key_id]
            argv = ["pkcs11-tool", "--module", module, "--token-label", "site hsm"]
            run([*argv, "--login", "--pin", "env:PIN", *keygen_args], timeout_s=120, env=env)
        uri = "pkcs11:token=site%20hsm;object={}?" + f"module-path={module}&pin-source=file:{pin}"
        yield Keys(
            ec=uri.format("scan"),
            rsa=uri.format("scan-rsa"),
            unlock=PassphraseSource(),
            secret=_PIN,
        )


def _softhsm_module() -> Path:
    modules = [
        *Path("/usr/lib").glob("**/libsofthsm2.so"),
        *Path("/usr/lib64").glob("**/libsofthsm2.so"),
    ]
    assert modules, "SoftHSM is missing: make setup-system"
    return modules[0]


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    """A software TPM with two persistent keys."""
    folder = tmp_path_factory.mktemp("tpm")
    (folder / "state").mkdir()
    port = _two_free_ports()
    argv = [
        *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder / 'state'}"),
        *("--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}"),
        *("--flags", "not-need-init,startup-clear"),
    ]
    tcti = f"swtpm:host=127.0.0.1,port={port}"
    auth = _private(folder / "auth", _AUTH)
    with spawn(argv, log=folder / "log"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPM2TOOLS_TCTI", tcti)
        _answers(port + 1)

        def tool(name: str, *arguments: str) -> None:
            env = {"TPM2TOOLS_TCTI": tcti}
            run([f"tpm2_{name}", *arguments], timeout_s=120, env=env, cwd=folder)
            run(["tpm2_flushcontext", "-t"], timeout_s=60, env=env)

        tool("createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "prim.ctx")
        for handle, kind in (("0x81010001", "ecc256:ecdsa-sha256"), ("0x81010002", "rsa3072")):
            files = ("-u", "k.pub", "-r", "k.priv")
            tool(
                "create", "-Q", "-C", "prim.ctx", "-g", "sha256", "-G", kind, *files,
                # The TPM refuses in other words where it does not count wrong tries.
                "-a", _TPM_KEY + ("|noda" if kind == "rsa3072" else ""), "-p", f"file:{auth}",
            )  # fmt: skip
            tool("load", "-Q", "-C", "prim.ctx", *files, "-c", "k.ctx")
            tool("evictcontrol", "-Q", "-C", "o", "-c", "k.ctx", handle)
        yield Keys(
            ec="tpm:0x81010001",
            rsa="tpm:0x81010002",
            unlock=PassphraseSource(file=auth),
            secret=_AUTH,
        )


def _two_free_ports() -> int:
    for port in range(42_321, 42_521, 2):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two free ports")


def _answers(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "swtpm does not answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Two keys with a passphrase, generated by openssl itself."""
    folder = tmp_path_factory.mktemp("openssl")
    phrase = _private(folder / "phrase", f"{_AUTH}\n")
    for name, kind in (
        ("ec", ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")),
        ("rsa", ("RSA", "-pkeyopt", "rsa_keygen_bits:3072")),
    ):
        file = _private(folder / f"{name}.pem", "")
        lock = ["-aes-256-cbc", "-pass", f"file:{phrase}", "-out", file]
        run(["openssl", "genpkey", "-algorithm", *kind, *lock], timeout_s=120)
        file.chmod(0o600)
    return Keys(
        ec=f"openssl:{folder / 'ec.pem'}",
        rsa=f"openssl:{folder / 'rsa.pem'}",
        unlock=PassphraseSource(file=phrase),
        secret=_AUTH,
    )


@pytest.fixture(params=["softhsm", "tpm", "openssl"])
def external_keys(request: pytest.FixtureRequest) -> Keys:
    """Every kind of key storage."""
    keys = request.getfixturevalue(request.param)
    assert isinstance(keys, Keys)
    return keys


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_external_key_signs_evidence_accepted_by_every_tool(
    external_keys: Keys, kind: str, tmp_path: Path
) -> None:
    signer = load_signer(getattr(external_keys, kind), passphrase_source=external_keys.unlock)
    evidence = writer.write_evidence(
        samples.scan(), signer, tmp_path / "x.evidence.zip", events.discard, nonce="n" * 16
    )
    policy = _policy(tmp_path, signer)

    verified = verify(evidence, load_trust_policy(policy), now=NOW)
    assert verified.key.alg == signer.public.alg
    folder, key = _unpacked(evidence), tmp_path / "x.pub"
    for name in ("openssl", "files", _cosign_name()):
        _shell(folder, name, KEY=key)
    assert external_keys.secret not in "".join(
        f.read_bytes().decode("latin1") for f in folder.iterdir() if f.is_file()
    )


def test_cosign_accepts_rsa_key_file(tmp_path: Path) -> None:
    ring = create_keys(tmp_path / "k", now=KEYS_CREATED_AT, alg="rsa-pkcs1v15-sha256")
    signer = load_signer(ring.scan)
    evidence = writer.write_evidence(
        samples.scan(), signer, tmp_path / "x.evidence.zip", events.discard
    )

    assert (
        verify(evidence, load_trust_policy(ring.policy), now=NOW).key.alg == "rsa-pkcs1v15-sha256"
    )
    _shell(_unpacked(evidence), _cosign_name(), KEY=tmp_path / "x.pub")


def test_wrong_passphrase_is_reported_before_signing(external_keys: Keys, tmp_path: Path) -> None:
    wrong = _private(tmp_path / "wrong", "wrong-battery\n")
    for key in (external_keys.ec, external_keys.rsa):
        ref = re.sub(r"pin-source=file:.*", f"pin-source=file:{wrong}", key)

        with pytest.raises(InputError, match="the passphrase or PIN was refused") as caught:
            load_signer(
                ref,
                passphrase_source=PassphraseSource(file=wrong)
                if external_keys.unlock.is_configured
                else PassphraseSource(),
            )
        assert "wrong-battery" not in f"{caught.value} {caught.value.__cause__!r}"


def test_missing_passphrase_error_has_hint(external_keys: Keys) -> None:
    with pytest.raises(InputError, match=r"needs|is needed") as caught:
        load_signer(external_keys.ec.partition("&pin-source")[0])
    assert "--passphrase-file" in caught.value.hint


def test_missing_external_key_is_reported(softhsm: Keys, tpm: Keys, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one key of that name, got 0"):
        load_signer(softhsm.ec.replace("object=scan", "object=nobody"))
    with pytest.raises(ToolError, match="pkcs11-tool exited with 1") as caught:
        load_signer(softhsm.ec.replace("site%20hsm", "other"))
    assert "other" in caught.value.output_tail
    with pytest.raises(ToolError, match="tpm2_readpublic exited with"):
        load_signer("tpm:0x81010009", passphrase_source=tpm.unlock)
    with pytest.raises(InputError, match=r"no\.pem: cannot be read"):
        load_signer(f"openssl:{tmp_path / 'no.pem'}")


def test_unsupported_token_key_is_rejected(softhsm: Keys) -> None:
    with pytest.raises(InputError, match=r"expected a key of EC P-256, .* got RSA with 2048"):
        load_signer(softhsm.ec.replace("object=scan", "object=weak"))


def test_readable_pin_file_is_rejected(softhsm: Keys, tmp_path: Path) -> None:
    pin = _private(tmp_path / "pin", _PIN)
    pin.chmod(0o640)
    ref = re.sub(r"pin-source=file:.*", f"pin-source=file:{pin}", softhsm.ec)

    with pytest.raises(InputError, match="expected mode 0600, got 0640"):
        load_signer(ref)


def test_secret_never_appears_in_argv(
    external_keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper in front of each program writes down how it was called."""
    log = tmp_path / "argv"
    for program in ("openssl", "pkcs11-tool", "tpm2_sign", "tpm2_readpublic"):
        real = find_program(program)
        wrapper = tmp_path / "bin" / program
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0 $*" >> {log}\nexec {real} "$@"\n')
        wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    load_signer(external_keys.ec, passphrase_source=external_keys.unlock).sign(b"x")
    called = log.read_text()

    assert called.count("\n") >= 2
    assert external_keys.secret not in called


def test_keys_show_prints_public_key_without_pin(softhsm: Keys, tpm: Keys) -> None:
    for ref in (softhsm.ec.partition("&pin-source")[0], tpm.ec):
        env = {n: os.environ[n] for n in ("SOFTHSM2_CONF", "TPM2TOOLS_TCTI")}
        argv = [sys.executable, "-m", "hardpan", "keys", "show", "--pem", ref]
        completed = run(argv, timeout_s=60, env={**env, "PYTHONPATH": os.pathsep.join(sys.path)})

        assert completed.stdout.startswith("-----BEGIN PUBLIC KEY-----\n")


@pytest.fixture
def new_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL 3.5 or newer as ``openssl``: the machine's, else the one of 'make setup-openssl'."""
    program = find_openssl35()
    assert program is not None, "OpenSSL 3.5 is missing: make setup-openssl"
    (tmp_path / "o35").mkdir()
    (tmp_path / "o35/openssl").symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'o35'}:{os.environ['PATH']}")


@pytest.mark.usefixtures("new_openssl")
@pytest.mark.parametrize("alg", ["ml-dsa-65", "ml-dsa-87"])
def test_openssl_verifies_post_quantum_envelope(tmp_path: Path, alg: str) -> None:
    create_signer(tmp_path / "scan-pq.pem", alg=alg)
    pq = load_pq_signer(tmp_path / "scan-pq.pem")
    folder = _hybrid(tmp_path, pq)

    output = _shell(folder, "pq", PQ_KEY=tmp_path / "x.pq.pub").stdout
    assert "Signature Verified Successfully" in output
    statement = (folder / "statement.json").read_bytes()
    (folder / "statement.json").write_bytes(statement.replace(b'"fail":2', b'"fail":0'))
    with pytest.raises(ToolError):
        _shell(folder, "pq", PQ_KEY=tmp_path / "x.pq.pub")
    (folder / "statement.json").write_bytes(statement)
    create_signer(tmp_path / "other.pem", alg=alg)
    with pytest.raises(ToolError):
        _shell(folder, "pq", PQ_KEY=tmp_path / "other.pub")


@pytest.mark.usefixtures("new_openssl")
def test_openssl_format_ml_dsa_key_signs_through_openssl(tmp_path: Path) -> None:
    path = _private(tmp_path / "pq.pem", "")
    run(["openssl", "genpkey", "-algorithm", "ML-DSA-65", "-out", path], timeout_s=60)
    path.chmod(0o600)
    with pytest.raises(InputError, match="damaged, or of an unknown kind") as caught:
        load_pq_signer(path)
    assert "seed-only" in caught.value.hint

    folder = _hybrid(tmp_path, load_pq_signer(f"openssl:{path}"))
    _shell(folder, "pq", PQ_KEY=tmp_path / "x.pq.pub")
    seed = _private(tmp_path / "seed.pem", "")
    form = ["-provparam", "ml-dsa.output_formats=seed-only"]
    run(["openssl", "pkey", "-in", path, "-out", seed, *form], timeout_s=60)
    assert load_pq_signer(seed).public.pem == (tmp_path / "x.pq.pub").read_text()


def test_installed_openssl_verifies_or_rejects_ml_dsa(tmp_path: Path) -> None:
    create_signer(tmp_path / "scan-pq.pem", alg="ml-dsa-65")
    pq = load_pq_signer(tmp_path / "scan-pq.pem")
    folder = _hybrid(tmp_path, pq)
    if read_version(Path("openssl")) >= (3, 5):
        _shell(folder, "pq", PQ_KEY=tmp_path / "x.pq.pub")
        return
    with pytest.raises(ToolError):
        _shell(folder, "pq", PQ_KEY=tmp_path / "x.pq.pub")
    # The commands extract the signature from the envelope and compute the encoding that it signs.
    signature = (tmp_path / "statement.mldsa").read_bytes()
    encoded = (tmp_path / "statement.pae").read_bytes()
    assert encoded == pae((folder / "statement.json").read_bytes())
    pq.public.verify(signature, encoded)


def _hybrid(folder: Path, pq: Signer) -> Path:
    """Evidence with both envelopes, unpacked; ``x.pub`` and ``x.pq.pub`` next to it."""
    signer = create_signer(folder / "scan.pem")
    out = folder / "x.evidence.zip"
    unpacked = _unpacked(
        writer.write_evidence(samples.scan(), signer, out, events.discard, pq_signer=pq)
    )
    _shell(unpacked, "files", KEY=folder / "x.pub")
    return unpacked


def test_documented_commands_detect_removed_post_quantum_signature(tmp_path: Path) -> None:
    folder = _hybrid(tmp_path, create_signer(tmp_path / "scan-pq.pem", alg="ml-dsa-87"))
    _shell(folder, _cosign_name(), KEY=tmp_path / "x.pub")
    (folder / PQ_ENVELOPE).unlink()

    with pytest.raises(ToolError):
        _shell(folder, "files", KEY=tmp_path / "x.pub")


def _unpacked(evidence: Path) -> Path:
    folder = evidence.with_name("unpacked")
    with zipfile.ZipFile(evidence) as z:
        z.extractall(folder)
    return folder


def _cosign_name() -> str:
    program = find_cosign()
    assert program is not None, "cosign is missing: make setup-cosign"
    output = run([program, "verify-blob-attestation", "--help"], timeout_s=60).stdout
    return "cosign3" if re.search(r"--new-bundle-format.*default true", output) else "cosign2"


def _shell(folder: Path, block: str, **variables: Path) -> CompletedProcess:
    blocks = {m["name"]: m["text"] for m in _BLOCK.finditer((folder / "VERIFY.md").read_text())}
    program = find_cosign()
    assert program is not None
    env = {"HOME": str(folder.parent), **{n: str(v) for n, v in variables.items()}}
    text = f"PATH=$PATH:{program.parent}\n{blocks[block]}"
    return run(["sh", "-euc", text], timeout_s=120, cwd=folder, env=env)


def _policy(folder: Path, signer: Signer) -> Path:
    (folder / "scan.pub").write_text(signer.public.pem)
    policy = folder / "trust.yaml"
    policy.write_text(
        "version: 1\nkeys:\n  - id: scan\n    role: scan\n"
        f"    alg: {signer.public.alg}\n    spki: scan.pub\n"
        "    not_before: 2026-01-01T00:00:00Z\n    not_after: 2027-01-01T00:00:00Z\n"
    )
    return policy
