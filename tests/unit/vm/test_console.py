import pytest

from hardpan.builder.vm.console import GuestConsole, clean_line

KEY = "ecdsa-sha2-nistp256 " + "A" * 120 + "="


def feed_lines(*lines: str) -> GuestConsole:
    console = GuestConsole()
    console.feed("".join(f"{line}\r\r\n" for line in lines).encode())
    return console


@pytest.mark.parametrize(
    "line",
    [
        "HARDPAN-INSTALL: failed: line 3: unsupported command",
        "The installation was stopped due to an error which occurred while running",
        "[   12.3] Kernel panic - not syncing: Attempted to kill init!",
        "The installer will now terminate.",
        "Non interactive installation failed: no",
        "Non interactive installation failed: DNF error: Error in POSTIN scriptlet in rpm x",
        "[   99.000001] anaconda[1523]: Traceback (most recent call last):",
        "Traceback (most recent call last):",
        "dracut: FATAL: FIPS integrity test failed",
        "You are in emergency mode. Give root password for maintenance",
        "Cannot open access to console, the root account is locked.",
        "[  99.0] Out of memory: Killed process 12 (dnf)",
    ],
)
def test_failure_line_is_recorded(line: str) -> None:
    console = feed_lines("all is well", line, "[  OK  ] Stopped something after it.")

    assert console.failure
    assert console.failure in line


@pytest.mark.parametrize(
    "line",
    [
        "Installing perl-Error.noarch (12/423)",
        "Started sshd.service - OpenBSD Secure Shell server.",
        "0 errors, no traceback",
        "error: ../../grub-core/script: harmless",
        # Texts of Anaconda in lines of other programs, and of the kernel in Anaconda's.
        "[    1.000000] dbus-daemon[812]: Traceback (most recent call last):",
        "[    1.000000] foo: The installer will now terminate",
        "[    1.000000] anaconda[1523]: Kernel panic - not syncing: is a title",
        "scriptlet output: Traceback (most recent call last):",
    ],
)
def test_ordinary_line_is_not_a_failure(line: str) -> None:
    assert feed_lines(line).failure == ""


SYSTEMD_PROMPT = (
    "\U0001f510 Please enter passphrase for disk luks-1 (vda3): (press TAB for no echo) "
)


@pytest.mark.parametrize(
    "prompt",
    [
        SYSTEMD_PROMPT,
        "Please enter passphrase for disk QEMU_HARDDISK (luks-0a1b): ",
        "Enter passphrase for /dev/vda3: ",
        "Please unlock disk luks-0a1b: ",
    ],
)
def test_prompt_for_a_passphrase_is_counted_once(prompt: str) -> None:
    console = GuestConsole()
    for character in prompt.encode():
        console.feed(bytes([character]))

    assert console.passphrase_prompts == 1
    console.feed(b"\r\n[  OK  ] Finished Cryptography Setup for luks-1.\r\n")
    assert console.passphrase_prompts == 1
    console.feed(f"{prompt}\r\n".encode())
    assert console.passphrase_prompts == 2
    assert console.failure == ""


@pytest.mark.parametrize(
    "line",
    [
        "Starting Cryptography Setup for luks-1...",
        "[    1.2] systemd[1]: Dispatch Password Requests to Console",
        "Enter passphrase for /dev/vda3: too late",
    ],
)
def test_other_lines_are_no_prompt(line: str) -> None:
    assert feed_lines(line).passphrase_prompts == 0


def test_failure_has_the_reason_of_the_lines_after_it() -> None:
    console = feed_lines(
        "HARDPAN-INSTALL: failed",
        "%pre: the installer was not started with fips=1",
        "HARDPAN-LOG: /tmp/anaconda.log",
        "05:12:31,123 DBG ui.lib: nothing of interest",
    )

    assert (
        console.failure == "HARDPAN-INSTALL: failed %pre: the installer was not started with fips=1"
    )


def test_details_of_a_failure_are_bounded() -> None:
    console = feed_lines("There was an error running the kickstart script", *["x" * 200] * 100)

    assert len(console.failure) <= 300


def test_kernel_message_within_a_line_is_a_failure() -> None:
    console = feed_lines(
        "[  533.400100] anaconda[1523]: Inst[  533.400211] Kernel panic - not syncing: x"
    )

    assert console.failure == "Kernel panic - not syncing: x"
    assert console.has_panicked


@pytest.mark.parametrize("prompt", ["Press ENTER to exit: ", "Please respond 'yes' or 'no': "])
def test_prompt_without_line_end_is_a_failure(prompt: str) -> None:
    console = GuestConsole()
    console.feed(b"Error\r\n")
    console.feed(prompt[:9].encode())
    assert console.failure == ""

    console.feed(prompt[9:].encode())

    assert console.failure == prompt.strip()


def test_phase_never_goes_back() -> None:
    console = feed_lines(
        "Installing boot loader", "Performing post-installation setup tasks", "Configuring storage"
    )

    assert console.progress.phase == "boot loader"
    assert console.progress.status == "Configuring storage"


def test_only_the_marker_means_complete() -> None:
    assert not feed_lines("installation complete", "reboot: Power down").is_complete
    assert feed_lines("HARDPAN-INSTALL: complete").is_complete


def test_host_key_requires_two_occurrences() -> None:
    damaged_key = KEY.replace("AAAA", "A[  1.2] audit: AAA", 1)

    assert feed_lines(f"HARDPAN-HOSTKEY: {KEY}").host_keys == ()
    assert feed_lines(f"HARDPAN-HOSTKEY: {KEY}", f"HARDPAN-HOSTKEY: {KEY}").host_keys == (KEY,)
    assert (
        feed_lines(f"HARDPAN-HOSTKEY: {damaged_key}", f"HARDPAN-HOSTKEY: {damaged_key}").host_keys
        == ()
    )


def test_console_memory_is_bounded() -> None:
    console = GuestConsole()
    for _ in range(100):
        console.feed(b"x" * 100_000)
    for n in range(1000):
        console.feed(f"HARDPAN-HOSTKEY: {KEY[:-5]}{n:04}=\n".encode() * 2)

    assert len(console.tail) <= 40
    assert all(len(line) <= 4096 for line in console.tail)
    assert len(console.host_keys) <= 16


def test_escape_codes_are_removed() -> None:
    assert clean_line(b"\x1b[2J\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x00y") == "red x y"


def test_carriage_returns_keep_last_state() -> None:
    assert clean_line(b"10 %\r50 %\r100 %\r") == "100 %"


def test_split_line_is_joined() -> None:
    console = GuestConsole()
    console.feed(b"HARDPAN-INS")
    console.feed(b"TALL: complete\n")

    assert console.is_complete
