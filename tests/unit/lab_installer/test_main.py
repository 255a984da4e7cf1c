"""Order and endings of an installation, as Anaconda has them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from images.lab.installer import anaconda_text, installation, main, process, scripts
from images.lab.installer.console import InstallerConsole
from images.lab.installer.installation import Installation
from images.lab.installer.main import EXIT_ENDED, EXIT_WAITING, Session
from images.lab.installer.media import BootOptions
from images.lab.installer.payload import DependencyError, TransactionError
from images.lab.installer.plan import Firmware, InstallError, InstallPlan, Script, ScriptSection
from images.lab.installer.preparation import NonInteractiveError
from images.lab.installer.release import Release, parse_os_release
from images.lab.installer.scripts import ScriptFailedError

EL9 = Release(major=9, product="hardpan lab", version="9.0")
EL10 = Release(major=10, product="hardpan lab", version="10.0")


class Recorder:
    """What the installer did, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.lines: list[str] = []
        self.failing: dict[ScriptSection, ScriptFailedError] = {}

    def sleep(self, duration_s: float) -> None:
        self.events.append(f"sleep {duration_s:.0f}")

    def run_scripts(self, sections: Iterable[Script]) -> None:
        for script in sections:
            self.events.append(script.section.value)
            if script.section in self.failing:
                raise self.failing[script.section]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(process, "LOGS", tmp_path)
    monkeypatch.setattr(main, "_FINISH_FILE", tmp_path / "finish")
    monkeypatch.setattr(main, "run", lambda *_, **__: None)
    monkeypatch.setattr(scripts, "run_all", recorder.run_scripts)
    monkeypatch.setattr("images.lab.installer.console._open_consoles", list)
    monkeypatch.setattr(
        InstallerConsole, "print_line", lambda _, line: recorder.lines.extend(line.split("\n"))
    )
    return recorder


def _make_session(kickstart: str, *, release: Release = EL9, strict: bool = True) -> Session:
    options = BootOptions(cmdline="", kickstart="file:/x", fips=False, strict=strict)
    return Session(release=release, options=options, kickstart=kickstart, firmware=Firmware.UEFI)


def _read_plan(session: Session, recorder: Recorder) -> InstallPlan | None:
    return main.read_plan(session, InstallerConsole(), recorder.sleep)


def _run_plan(good: str, recorder: Recorder, *, release: Release = EL9) -> int:
    session = _make_session(good, release=release)
    plan = _read_plan(session, recorder)
    assert plan is not None
    recorder.lines.clear()
    recorder.events.clear()
    return main.run_plan(plan, session, InstallerConsole(), recorder.sleep)


def _fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(*_: object) -> None:
        raise error

    monkeypatch.setattr(main, "_install", install)


def test_pre_scripts_run_before_the_kickstart_is_parsed(good: str, recorder: Recorder) -> None:
    session = _make_session(f"nonsense --here\n{good}")

    assert _read_plan(session, recorder) is None

    assert recorder.events == ["%pre", "sleep 10"]
    assert recorder.lines[0].endswith(" Running pre-installation scripts")
    assert recorder.lines[1:] == [
        "",
        "An error occurred during reading the kickstart file:",
        "The following problem occurred on line 1 of the kickstart file:",
        "",
        "Unknown command: nonsense",
        "",
        "The installer will now terminate.",
    ]


@pytest.mark.parametrize(("release", "line"), [(EL9, 380), (EL10, 409)])
def test_failing_pre_script_is_mute(
    good: str, recorder: Recorder, release: Release, line: int
) -> None:
    recorder.failing[ScriptSection.PRE] = ScriptFailedError(32, "the reason\n")

    assert _read_plan(_make_session(good, release=release), recorder) is None

    # No %onerror, no wait, no reason: only Python's traceback.
    assert recorder.events == ["%pre"]
    assert recorder.lines[1:] == [
        "Traceback (most recent call last):",
        f'  File "/usr/sbin/anaconda", line {line}, in <module>',
        "    startup_utils.run_pre_scripts(kspath)",
        "pyanaconda.errors.ScriptError",
    ]


def test_ksstrict_refuses_after_the_warnings(good: str, recorder: Recorder) -> None:
    text = f"{good}%traceback\ntrue\n%end\n"

    assert _read_plan(_make_session(text, strict=False), recorder) is not None
    assert _read_plan(_make_session(text), recorder) is None

    refusal = recorder.lines[recorder.lines.index("An error occurred during reading the kickstart "
                                                  "file:") :]  # fmt: skip
    assert "Some warnings occurred during reading the kickstart file:" in recorder.lines
    assert refusal[1] == (
        "Please modify your kickstart file to fix the warnings or remove the `ksstrict` option."
    )
    assert recorder.events[-1] == "sleep 10"


def test_error_that_needs_an_answer_ends_after_onerror_and_three_minutes(
    good: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _fail_with(NonInteractiveError("the reason"), monkeypatch)

    assert _run_plan(good, recorder) == 0

    assert recorder.events == ["%onerror", "sleep 180"]
    text = "\n".join(recorder.lines)
    assert text.startswith("\nThe installation was stopped due to an error which occurred while ")
    assert "\nThe exact error message is: \n\nthe reason. \n\nThe installer will now term" in text
    # The exit handler does what the kickstart says.
    assert (tmp_path / "finish").read_text() == "poweroff"


@pytest.mark.parametrize(
    ("error", "release", "start"),
    [
        (InstallError("x"), EL9, "\nThe installation was stopped due to an error"),
        (TransactionError("x"), EL9, "\nRunning in cmdline mode, no interactive debugging"),
        (DependencyError("x"), EL9, "\nRunning in cmdline mode, no interactive debugging"),
        (TransactionError("x"), EL10, "\nThe installation was stopped due to an error"),
        (KeyError("x"), EL10, "\nRunning in cmdline mode, no interactive debugging"),
    ],
)
def test_message_depends_on_error_and_release(
    error: Exception, release: Release, start: str
) -> None:
    assert main.format_failure(error, release).startswith(start)


def test_failing_post_script_waits_for_a_key_without_onerror(
    good: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _fail_with(ScriptFailedError(34, "first\nlast\n"), monkeypatch)

    assert _run_plan(good, recorder) == EXIT_WAITING

    assert recorder.events == []
    assert not (tmp_path / "finish").exists()
    assert "There was an error running the kickstart script at line 34.  This is a fatal" in (
        recorder.lines
    )
    assert recorder.lines[-4:] == ["first", "last", "", "Press ENTER to exit: "]


@pytest.mark.parametrize(
    ("command", "status", "finish"),
    [("poweroff", 0, "poweroff"), ("reboot", 0, "reboot"), ("halt", EXIT_WAITING, None)],
)
def test_installation_ends_as_the_kickstart_says(
    good: str,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    status: int,
    finish: str | None,
) -> None:
    monkeypatch.setattr(main, "_install", lambda *_: None)

    assert _run_plan(good.replace("\npoweroff\n", f"\n{command}\n"), recorder) == status

    path = tmp_path / "finish"
    assert (path.read_text() if path.exists() else None) == finish
    if status == EXIT_WAITING:
        assert recorder.lines == ["Installation complete. Press ENTER to quit: "]


def test_missing_kickstart_ends_the_program(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: InstallerConsole) -> Session:
        raise InstallError("no kickstart")

    monkeypatch.setattr(main, "_start_session", fail)

    assert main.main(recorder.sleep) == EXIT_ENDED
    assert recorder.lines == ["Starting installer, one moment...", "hardpan-lab: no kickstart"]


@pytest.mark.parametrize(
    ("release", "title"), [(EL9, "Installing."), (EL10, "Installing the software")]
)
def test_queues_run_in_anacondas_order_with_its_titles(
    good: str,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    release: Release,
    title: str,
) -> None:
    session = _make_session(good, release=release)
    plan = _read_plan(session, recorder)
    assert plan is not None
    recorder.lines.clear()
    monkeypatch.setattr(Installation, "target", None)
    monkeypatch.setattr(installation.storage, "unmount_all", lambda _: None)

    def list_queues(self: Installation) -> dict[str, list[Callable[[], None]]]:
        titles = anaconda_text.list_tasks(release, save_kickstart=True)
        return {t: [lambda t=t: recorder.lines.append(f"task of {t}")] for t in titles}

    queues = Installation(
        plan,
        session.options,
        release,
        None,
        None,
        InstallerConsole(),
        kickstart=good,  # type: ignore[arg-type]
    )
    assert set(queues.list_queues()) >= set(anaconda_text.list_tasks(release, save_kickstart=True))
    monkeypatch.setattr(Installation, "list_queues", list_queues)
    queues.run()

    titles = [line for line in recorder.lines if line and not line.startswith("task of ")]
    assert titles == [
        "Setting up the installation environment",
        "Configuring storage",
        "Running pre-installation scripts",
        "Running pre-installation tasks",
        title,
        "Installing boot loader",
        "Performing post-installation setup tasks",
        "Importing certificates",
        "Configuring installed system",
        "Writing network configuration",
        "Creating users",
        "Configuring addons",
        "Generating initramfs",
        "Storing configuration files and kickstarts",
        "Running post-installation scripts",
    ]


def test_startup_note_names_anacondas_version() -> None:
    note = anaconda_text.render_startup_note(EL10)

    assert note.splitlines()[0] == "anaconda 40.22.3.57 for hardpan lab 10.0 started."


@pytest.mark.parametrize(
    ("version", "major", "handler"), [("9.0", 9, "RHEL9"), ("10.0", 10, "RHEL10")]
)
def test_release_decides_the_kickstart_syntax(version: str, major: int, handler: str) -> None:
    release = parse_os_release(f'NAME="hardpan lab"\nVERSION_ID="{version}"\n')

    assert (release.major, release.handler, release.product) == (major, handler, "hardpan lab")


def test_unknown_release_is_an_error() -> None:
    with pytest.raises(InstallError, match=r"expected 9\.x or 10\.x"):
        parse_os_release("VERSION_ID=8.9\n")
