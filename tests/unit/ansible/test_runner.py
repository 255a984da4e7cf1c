import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from hardpan.builder.artifacts import Assessment, BootedGuest
from hardpan.builder.layers import registry as layers
from hardpan.core.errors import (
    HardpanError,
    InputError,
    TerminationInterrupt,
    ToolError,
    TrustError,
    UnreachableError,
)
from hardpan.core.events import Event, StageMessage, StageProgress
from hardpan.core.files import Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile

Handler = Callable[[dict[str, Any]], bool]


class FakeRunner:
    """Replace ansible-runner: emit events and record the arguments."""

    def __init__(
        self,
        *events: dict[str, Any],
        status: str = "successful",
        signals: tuple[signal.Signals, ...] = (),
    ) -> None:
        self.events = events
        self.status = status
        self.signals = signals
        self.arguments: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.inventory: dict[str, Any] = {}
        self.known_hosts = ""

    def run(self, *, event_handler: Handler, **arguments: Any) -> SimpleNamespace:
        self.arguments = arguments
        self.environment = dict(os.environ)
        self.inventory = yaml.safe_load(Path(arguments["inventory"]).read_text())
        self.known_hosts = (Path(arguments["inventory"]).parent / "known_hosts").read_text()
        for event in self.events:
            event_handler(event)
        for number in self.signals:
            signal.raise_signal(number)
        status = "canceled" if arguments["cancel_callback"]() else self.status
        return SimpleNamespace(status=status, stats={"changed": {"guest": 3}})


@pytest.fixture
def guest(tmp_path: Path) -> BootedGuest:
    return BootedGuest(
        address="127.0.0.1",
        port=2222,
        user="steward",
        private_key=tmp_path / "key",
        host_keys=("ssh-ed25519 AAAA",),
        accelerator="tcg",
        boot_s=1.0,
    )


def profile_with_layers(*names: str) -> Profile:
    return load_profile("lab-stig").model_copy(update={"layers": names})


def apply_layer(
    monkeypatch: pytest.MonkeyPatch,
    guest: BootedGuest,
    runner: FakeRunner,
    events: list[Event] | None = None,
) -> Any:
    monkeypatch.setattr("ansible_runner.run", runner.run)
    monkeypatch.setattr("hardpan.builder.ai_models.embedding.prepare_files", lambda cache, emit: {})
    assessment = Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=())
    emit = (events if events is not None else []).append
    return layers.apply_layers(
        profile_with_layers("ml_cpu"), guest, assessment, cache=guest.private_key.parent, emit=emit
    )


def runner_event(kind: str, name: str = "Do it", **res: object) -> dict[str, Any]:
    return {"event": kind, "event_data": {"task": name, "role": "ml_cpu", "res": res}}


def test_unimplemented_layer_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layers, "LAYERS", {"ml_cpu": layers.LAYERS["ml_cpu"]})

    with pytest.raises(InputError, match="layers cuda, rocm are not implemented"):
        layers.check_layers(profile_with_layers("ml_cpu", "cuda", "rocm"))


def test_ssh_accepts_only_guest_host_key(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest
) -> None:
    runner = FakeRunner()

    (receipt,) = apply_layer(monkeypatch, guest, runner)

    host = runner.inventory["all"]["hosts"]["guest"]
    assert receipt.changed_tasks == 3
    assert runner.known_hosts == "[127.0.0.1]:2222 ssh-ed25519 AAAA\n"
    assert host["ansible_host_key_checking"] is True
    assert "-o StrictHostKeyChecking=yes" in host["ansible_ssh_common_args"]
    assert "-o IdentityAgent=none" in host["ansible_ssh_common_args"]
    assert host["ansible_ssh_private_key_file"] == str(guest.private_key)


def test_caller_environment_is_scrubbed_and_restored(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest
) -> None:
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "False")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    runner = FakeRunner()

    apply_layer(monkeypatch, guest, runner)

    assert not {"ANSIBLE_HOST_KEY_CHECKING", "SSH_AUTH_SOCK"} & set(runner.environment)
    assert runner.arguments["envvars"]["ANSIBLE_CONFIG"].endswith("builder/ansible/ansible.cfg")
    assert os.environ["ANSIBLE_HOST_KEY_CHECKING"] == "False"


def test_signal_handler_is_restored_after_run(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest
) -> None:
    handler = signal.getsignal(signal.SIGINT)

    apply_layer(monkeypatch, guest, FakeRunner())

    assert signal.getsignal(signal.SIGINT) is handler


def test_canceled_run_raises_keyboard_interrupt(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest
) -> None:
    with pytest.raises(KeyboardInterrupt):
        apply_layer(monkeypatch, guest, FakeRunner(status="canceled"))


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminationInterrupt)]
)
def test_signal_stops_ansible_and_reaches_previous_handler(
    monkeypatch: pytest.MonkeyPatch,
    guest: BootedGuest,
    number: signal.Signals,
    kind: type[KeyboardInterrupt],
) -> None:
    def handle(received: int, _frame: object) -> None:
        raise TerminationInterrupt if received == signal.SIGTERM else KeyboardInterrupt

    previous = signal.signal(number, handle)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            apply_layer(monkeypatch, guest, FakeRunner(signals=(number, number)))
        assert signal.getsignal(number) is handle
    finally:
        signal.signal(number, previous)

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (
            runner_event("runner_on_failed", msg="no such file"),
            ToolError,
            "ansible ml_cpu: task 'Do it' failed",
        ),
        (
            runner_event("runner_on_unreachable", msg="Connection refused"),
            UnreachableError,
            "127.0.0.1:2222 does not answer in ml_cpu: 'Do it': Connection refused",
        ),
        (
            runner_event("runner_on_unreachable", msg="ssh: Host key verification failed."),
            TrustError,
            "127.0.0.1:2222 presents another SSH host key than the guest printed on its console",
        ),
    ],
)
def test_failed_task_raises_error_naming_task(
    monkeypatch: pytest.MonkeyPatch,
    guest: BootedGuest,
    event: dict[str, Any],
    kind: type[HardpanError],
    message: str,
) -> None:
    with pytest.raises(kind) as caught:
        apply_layer(monkeypatch, guest, FakeRunner(event, status="failed"))

    assert str(caught.value) == message


def test_failed_task_error_has_output(monkeypatch: pytest.MonkeyPatch, guest: BootedGuest) -> None:
    event = runner_event("runner_on_failed", msg="rc 1", stderr="sha256sum: WARNING", stdout="x")

    with pytest.raises(ToolError) as caught:
        apply_layer(monkeypatch, guest, FakeRunner(event, status="failed"))

    assert caught.value.output_tail == "rc 1\nsha256sum: WARNING\nx"


@pytest.mark.parametrize(
    ("status", "message"),
    [("failed", "ml_cpu: failed"), ("timeout", "ml_cpu: did not end within 3600 s")],
)
def test_failed_run_without_failed_task_raises(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest, status: str, message: str
) -> None:
    with pytest.raises(ToolError, match=message):
        apply_layer(monkeypatch, guest, FakeRunner(status=status))


def test_task_start_and_progress_are_emitted(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest
) -> None:
    events: list[Event] = []
    runner_events = [
        runner_event("playbook_on_task_start"),
        runner_event("runner_retry", stdout="40 of 130\n"),
    ]

    apply_layer(monkeypatch, guest, FakeRunner(*runner_events), events)

    assert StageMessage(stage="harden", text="ml_cpu: Do it") in events
    assert StageProgress(stage="harden", completed=40, total=130, text="ml_cpu: Do it") in events


@pytest.mark.parametrize(
    "event", [{}, {"event": "x", "event_data": 5}, runner_event("runner_on_failed")]
)
def test_unexpected_events_are_ignored(
    monkeypatch: pytest.MonkeyPatch, guest: BootedGuest, event: dict[str, Any]
) -> None:
    runner = FakeRunner({**event, "event": "verbose"})

    assert len(apply_layer(monkeypatch, guest, runner)) == 1
