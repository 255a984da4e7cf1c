import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import yaml

from hardpan.builder.layers import registry as layers
from hardpan.builder.receipts import Assessment, Guest
from hardpan.errors import (
    HardpanError,
    InputError,
    Terminated,
    ToolError,
    TrustError,
    UnreachableError,
)
from hardpan.events import Event, Note, Progress
from hardpan.files import Sha256
from hardpan.profiles.load import load
from hardpan.profiles.model import Layer, Profile

Handler = Callable[[dict[str, Any]], bool]


class Runner:
    """In ansible-runner's place: plays events and remembers what it was asked for."""

    def __init__(
        self,
        *events: dict[str, Any],
        status: str = "successful",
        signals: tuple[signal.Signals, ...] = (),
    ) -> None:
        self.events = events
        self.status = status
        self.signals = signals
        self.asked: dict[str, Any] = {}
        self.seen: dict[str, str] = {}
        self.inventory: dict[str, Any] = {}
        self.known_hosts = ""

    def run(self, *, event_handler: Handler, **asked: Any) -> SimpleNamespace:
        self.asked = asked
        self.seen = dict(os.environ)
        self.inventory = yaml.safe_load(Path(asked["inventory"]).read_text())
        self.known_hosts = (Path(asked["inventory"]).parent / "known_hosts").read_text()
        for event in self.events:
            event_handler(event)
        for number in self.signals:
            signal.raise_signal(number)
        status = "canceled" if asked["cancel_callback"]() else self.status
        return SimpleNamespace(status=status, stats={"changed": {"guest": 3}})


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(
        address="127.0.0.1",
        port=2222,
        user="steward",
        private_key=tmp_path / "key",
        host_keys=("ssh-ed25519 AAAA",),
        accelerator="tcg",
        boot_s=1.0,
    )


def of(*names: str) -> Profile:
    return load("lab-stig").model_copy(update={"layers": names})


def applied(
    monkeypatch: pytest.MonkeyPatch,
    guest: Guest,
    runner: Runner,
    events: list[Event] | None = None,
) -> Any:
    monkeypatch.setattr("ansible_runner.run", runner.run)
    monkeypatch.setattr("hardpan.builder.layers.model.files", lambda cache, emit: {})
    assessment = Assessment(content_sha256=Sha256("0" * 64), counts={}, remedies=())
    emit = (events if events is not None else []).append
    return layers.apply(of("ml_cpu"), guest, assessment, cache=Path("unused"), emit=emit)


def task(kind: str, name: str = "Do it", **res: object) -> dict[str, Any]:
    return {"event": kind, "event_data": {"task": name, "role": "ml_cpu", "res": res}}


def test_a_layer_that_is_not_built_yet_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layers, "BUILT", {"ml_cpu": layers.BUILT["ml_cpu"]})

    with pytest.raises(InputError, match="layers cuda, rocm are not built yet"):
        layers.check(of("ml_cpu", "cuda", "rocm"))


def test_every_layer_that_is_built_has_its_role() -> None:
    roles = {path.parts[-3] for path in layers.PLAYBOOKS.glob("roles/*/tasks/main.yml")}

    assert set(layers.BUILT) == set(get_args(Layer))
    assert set(layers.BUILT) - roles == set()


def test_only_the_guests_own_host_key_is_believed(
    monkeypatch: pytest.MonkeyPatch, guest: Guest
) -> None:
    runner = Runner()

    (receipt,) = applied(monkeypatch, guest, runner)

    host = runner.inventory["all"]["hosts"]["guest"]
    assert receipt.changed == 3
    assert runner.known_hosts == "[127.0.0.1]:2222 ssh-ed25519 AAAA\n"
    assert host["ansible_host_key_checking"] is True
    assert "-o StrictHostKeyChecking=yes" in host["ansible_ssh_common_args"]
    assert "-o IdentityAgent=none" in host["ansible_ssh_common_args"]
    assert host["ansible_ssh_private_key_file"] == str(guest.private_key)


def test_the_callers_ansible_and_ssh_settings_stay_out_and_come_back(
    monkeypatch: pytest.MonkeyPatch, guest: Guest
) -> None:
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "False")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    runner = Runner()

    applied(monkeypatch, guest, runner)

    assert not {"ANSIBLE_HOST_KEY_CHECKING", "SSH_AUTH_SOCK"} & set(runner.seen)
    assert runner.asked["envvars"]["ANSIBLE_CONFIG"].endswith("builder/ansible/ansible.cfg")
    assert os.environ["ANSIBLE_HOST_KEY_CHECKING"] == "False"


def test_ctrl_c_works_again_after_a_layer(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    before = signal.getsignal(signal.SIGINT)

    applied(monkeypatch, guest, Runner())

    assert signal.getsignal(signal.SIGINT) is before


def test_a_cancelled_run_is_an_interrupt(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    with pytest.raises(KeyboardInterrupt):
        applied(monkeypatch, guest, Runner(status="canceled"))


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_ends_ansible_and_then_goes_to_its_own_handler(
    monkeypatch: pytest.MonkeyPatch,
    guest: Guest,
    number: signal.Signals,
    kind: type[KeyboardInterrupt],
) -> None:
    def take(came: int, _frame: object) -> None:
        raise Terminated if came == signal.SIGTERM else KeyboardInterrupt

    before = signal.signal(number, take)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            applied(monkeypatch, guest, Runner(signals=(number, number)))
        assert signal.getsignal(number) is take
    finally:
        signal.signal(number, before)

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (
            task("runner_on_failed", msg="no such file"),
            ToolError,
            "ansible ml_cpu: task 'Do it' failed",
        ),
        (
            task("runner_on_unreachable", msg="Connection refused"),
            UnreachableError,
            "127.0.0.1:2222 does not answer in ml_cpu: 'Do it': Connection refused",
        ),
        (
            task("runner_on_unreachable", msg="ssh: Host key verification failed."),
            TrustError,
            "127.0.0.1:2222 has another SSH host key than the guest told on its console",
        ),
    ],
)
def test_a_failed_task_is_an_error_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
    guest: Guest,
    event: dict[str, Any],
    kind: type[HardpanError],
    message: str,
) -> None:
    with pytest.raises(kind) as caught:
        applied(monkeypatch, guest, Runner(event, status="failed"))

    assert str(caught.value) == message


def test_what_a_failed_task_said_is_in_the_error(
    monkeypatch: pytest.MonkeyPatch, guest: Guest
) -> None:
    event = task("runner_on_failed", msg="rc 1", stderr="sha256sum: WARNING", stdout="x")

    with pytest.raises(ToolError) as caught:
        applied(monkeypatch, guest, Runner(event, status="failed"))

    assert caught.value.tail == "rc 1\nsha256sum: WARNING\nx"


@pytest.mark.parametrize(
    ("status", "why"),
    [("failed", "ml_cpu: failed"), ("timeout", "ml_cpu: did not end within 3600 s")],
)
def test_a_run_that_ends_badly_without_a_task_is_an_error_too(
    monkeypatch: pytest.MonkeyPatch, guest: Guest, status: str, why: str
) -> None:
    with pytest.raises(ToolError, match=why):
        applied(monkeypatch, guest, Runner(status=status))


def test_tasks_and_how_far_they_came_are_told(
    monkeypatch: pytest.MonkeyPatch, guest: Guest
) -> None:
    events: list[Event] = []
    played = [task("playbook_on_task_start"), task("runner_retry", stdout="40 of 130\n")]

    applied(monkeypatch, guest, Runner(*played), events)

    assert Note(stage="harden", text="ml_cpu: Do it") in events
    assert Progress(stage="harden", done=40, total=130, text="ml_cpu: Do it") in events


@pytest.mark.parametrize("event", [{}, {"event": "x", "event_data": 5}, task("runner_on_failed")])
def test_odd_events_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, guest: Guest, event: dict[str, Any]
) -> None:
    runner = Runner({**event, "event": "verbose"})

    assert len(applied(monkeypatch, guest, runner)) == 1
