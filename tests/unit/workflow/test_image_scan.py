"""A disk image as the target of a scan; no virtual machine is started."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.artifacts import BootedGuest, SshAccess
from hardpan.builder.vm.probe import Acceleration
from hardpan.cli.target_options import TargetOptions
from hardpan.core.errors import InputError, UsageError
from hardpan.core.events import Event, StageMessage, discard
from hardpan.core.files import sha256_bytes
from hardpan.signing import create_signer, sign
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.target import Target
from hardpan.workflow import image_scan
from hardpan.workflow.image_scan import boot_image
from hardpan.workflow.image_target import ImageTarget

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWLhenlMNkgezhirinoY1lKdhQOhMR7STj8gegngR3o"
QCOW2 = (b"QFI\xfb" + (3).to_bytes(4, "big")).ljust(4096, b"\0")


@pytest.fixture
def image(tmp_path: Path) -> ImageTarget:
    path = tmp_path / "web.qcow2"
    path.write_bytes(QCOW2)
    return ImageTarget(path=path, user="steward", identity=tmp_path / "key")


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The arguments of each boot; the guest prints one host key."""
    calls: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def boot(spec: Any, access: SshAccess, _: object, **options: Any) -> Iterator[BootedGuest]:
        calls.append({"spec": spec, "access": access, **options})
        yield BootedGuest(
            address="127.0.0.1",
            port=2222,
            user=access.user,
            private_key=access.private_key,
            host_keys=(KEY,) if options["host_keys_timeout_s"] is not None else (),
            accelerator="tcg",
            boot_s=1.0,
        )

    def access(user: str, key: Path | None = None, *_: object) -> SshAccess:
        return SshAccess(user=user, private_key=key or tmp_path / "k", public_key="ssh-x A")

    def create_access(user: str, key: Path) -> SshAccess:
        return SshAccess(user=user, private_key=key, public_key="ssh-new A")

    def write_seed(path: Path, seed_access: SshAccess) -> None:
        path.write_text(seed_access.public_key)

    monkeypatch.setattr(image_scan, "boot", boot)
    monkeypatch.setattr(
        image_scan, "detect_acceleration", lambda: Acceleration(kind="tcg", reason="")
    )
    monkeypatch.setattr(image_scan, "find_operator_key", access)
    monkeypatch.setattr(image_scan, "create_access", create_access)
    monkeypatch.setattr(image_scan, "write_seed", write_seed)
    return calls


def test_image_is_booted_behind_an_overlay(image: ImageTarget, boots: list[dict[str, Any]]) -> None:
    with boot_image(image, discard) as opened:
        target = opened.target

    assert isinstance(target, Target)
    assert (target.host_keys, target.pinned_by) == ((KEY,), HostKeyTrust.BUILT_IMAGE)
    assert opened.image is None
    (boot,) = boots
    assert boot["overlay"] is True
    assert boot["spec"].cdrom is None
    assert not boot["overlay_folder"].exists()


def test_key_of_a_silent_guest_needs_the_flag(
    image: ImageTarget, boots: list[dict[str, Any]]
) -> None:
    with boot_image(replace(image, trust_new_host_key=True), discard) as opened:
        assert isinstance(opened.target, Target)
        assert (opened.target.host_keys, opened.target.trust_new_host_key) == ((), True)
    with boot_image(replace(image, host_keys=(KEY,)), discard) as opened:
        assert isinstance(opened.target, Target)
        assert opened.target.pinned_by is HostKeyTrust.PINNED

    assert [call["host_keys_timeout_s"] for call in boots] == [None, None]


def test_cloud_image_gets_a_seed_with_a_new_key(
    image: ImageTarget, boots: list[dict[str, Any]]
) -> None:
    cloud_image = replace(image, identity=None, user="auditor", uses_cloud_init=True)
    with boot_image(cloud_image, discard) as opened:
        assert isinstance(opened.target, Target)
        assert opened.target.user == "auditor"
        seed = boots[0]["spec"].cdrom
        assert seed.read_text() == "ssh-new A"

    assert not seed.exists()


def test_image_that_names_another_file_is_not_booted(
    image: ImageTarget, boots: list[dict[str, Any]]
) -> None:
    image.path.write_bytes(QCOW2[:15] + b"\1" + QCOW2[16:])

    with (
        pytest.raises(InputError, match="names another file"),
        boot_image(image, discard),
    ):
        pass
    assert boots == []


@pytest.mark.parametrize("is_same_image", [True, False])
def test_provenance_next_to_the_image_is_attached(
    image: ImageTarget, boots: list[dict[str, Any]], tmp_path: Path, is_same_image: bool
) -> None:
    digest = sha256_bytes(QCOW2) if is_same_image else "0" * 64
    statement = json.dumps({"subject": [{"name": "web.qcow2", "digest": {"sha256": digest}}]})
    signed = sign(statement.encode(), create_signer(tmp_path / "signer.pem"))
    (image.path.with_name("web.provenance.sigstore.json")).write_bytes(signed.bundle)
    (image.path.with_name("web.sbom.cdx.json")).write_bytes(b"{}")
    events: list[Event] = []

    with boot_image(image, events.append) as opened:
        reference = opened.image

    assert len(boots) == 1
    if is_same_image:
        assert reference is not None
        assert (reference.name, reference.sha256) == ("web.qcow2", digest)
    else:
        assert reference is None
        note = "web.provenance.sigstore.json is about another image; the evidence names no image"
        assert events == [StageMessage(stage="boot", text=note)]


def _options(**changes: Any) -> TargetOptions:
    values: dict[str, Any] = {
        "ssh_config": None,
        "identity": None,
        "known_hosts": None,
        "host_keys": (),
        "trust_new_host_key": False,
        "transport": "auto",
        "image_user": None,
        "image_firmware": None,
        "cloud_init": False,
        "ask_ssh_password": False,
        "ask_sudo_password": False,
    }
    return TargetOptions(**{**values, **changes})


def test_image_target_is_parsed(image: ImageTarget) -> None:
    parsed = _options(cloud_init=True, image_firmware="uefi").parse(f"image:{image.path}")

    expected = replace(image, identity=None, uses_cloud_init=True, firmware="uefi")
    assert parsed == expected
    assert str(parsed) == f"image:{image.path}"


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [
        ("local:", {"identity": Path("k")}, "local: --identity: expected no SSH option"),
        ("local:", {"host_keys": (KEY,)}, "local: --host-key: expected no SSH option"),
        ("local:", {"trust_new_host_key": True}, "--trust-new-host-key: expected no SSH option"),
        ("local:", {"ssh_config": Path("c")}, "--ssh-config: expected no SSH option"),
        ("local:", {"transport": "paramiko"}, "--transport: expected no SSH option"),
        ("local:", {"cloud_init": True}, "--cloud-init: expected a target image:FILE.qcow2"),
        ("a@b", {"image_user": "steward"}, "a@b --image-user: expected a target image:FILE.qcow2"),
        ("a@b", {"image_firmware": "uefi"}, "a@b --image-firmware: expected a target image:"),
        (
            "a@b",
            {"ask_ssh_password": True, "transport": "openssh"},
            "--ask-ssh-password: expected another transport than openssh",
        ),
        ("image:", {}, "image:: expected image:FILE.qcow2, got no file"),
        ("image:x", {"ssh_config": Path("x")}, "image:x --ssh-config: expected no such option"),
        ("image:x", {"known_hosts": Path("x")}, "image:x --known-hosts: expected no such option"),
        ("image:x", {"ask_ssh_password": True}, "--ask-ssh-password: expected no such option"),
    ],
)
def test_options_that_do_not_fit_the_target_are_refused(
    target: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        _options(**changes).parse(target)


def test_user_of_an_image_is_checked(image: ImageTarget) -> None:
    with pytest.raises(InputError, match="not a user name"):
        _options(image_user="a b").parse(f"image:{image.path}")
