import pytest

from hardpan.builder.machine.console import FAILURES, Console, clean

KEY = "ecdsa-sha2-nistp256 " + "A" * 120 + "="


def fed(*lines: str) -> Console:
    console = Console()
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
        "Traceback (most recent call last):",
        "anaconda dumped core",
        "FIPS integrity test failed",
        "You are in emergency mode. Give root password for maintenance",
        "Error in POSTIN scriptlet in rpm package kernel",
        "[  99.0] Out of memory: Killed process 12 (dnf)",
    ],
)
def test_a_line_that_means_failure_is_kept(line: str) -> None:
    console = fed("all is well", line, "something after it")

    assert console.failure
    assert console.failure in line


def test_every_failure_pattern_is_an_expression_of_its_own() -> None:
    assert len(set(FAILURES)) == len(FAILURES)


@pytest.mark.parametrize(
    "line",
    [
        "HARDPAN-INSTALL: phase packages [5/9]",
        "Started sshd.service - OpenBSD Secure Shell server.",
        "0 errors, no traceback",
        "error: ../../grub-core/script: harmless",
    ],
)
def test_an_ordinary_line_is_no_failure(line: str) -> None:
    assert fed(line).failure == ""


def test_a_phase_is_read_with_its_number() -> None:
    console = fed("HARDPAN-INSTALL: phase payload [4/9]")

    assert console.phase == "payload"
    assert console.step == (4, 9)


def test_only_the_marker_means_complete() -> None:
    assert not fed("installation complete", "reboot: Power down").complete
    assert fed("HARDPAN-INSTALL: complete").complete


def test_a_host_key_counts_when_it_was_told_twice() -> None:
    spoilt = KEY.replace("AAAA", "A[  1.2] audit: AAA", 1)

    assert fed(f"HARDPAN-HOSTKEY: {KEY}").host_keys == ()
    assert fed(f"HARDPAN-HOSTKEY: {KEY}", f"HARDPAN-HOSTKEY: {KEY}").host_keys == (KEY,)
    assert fed(f"HARDPAN-HOSTKEY: {spoilt}", f"HARDPAN-HOSTKEY: {spoilt}").host_keys == ()


def test_a_guest_that_writes_for_ever_fills_no_memory() -> None:
    console = Console()
    for _ in range(100):
        console.feed(b"x" * 100_000)
    for n in range(1000):
        console.feed(f"HARDPAN-HOSTKEY: {KEY[:-5]}{n:04}=\n".encode() * 2)

    assert len(console.tail) <= 40
    assert all(len(line) <= 4096 for line in console.tail)
    assert len(console.host_keys) <= 16


def test_escape_codes_are_taken_out() -> None:
    assert clean(b"\x1b[2J\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x00y") == "red x y"


def test_a_progress_display_shows_its_last_state() -> None:
    assert clean(b"10 %\r50 %\r100 %\r") == "100 %"


def test_a_line_may_come_in_pieces() -> None:
    console = Console()
    console.feed(b"HARDPAN-INS")
    console.feed(b"TALL: complete\n")

    assert console.complete
