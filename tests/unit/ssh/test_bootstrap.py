import base64
import shlex

import pytest

from hardpan.ssh.bootstrap import (
    Markers,
    build_become_header,
    build_login_line,
    build_plain_header,
    encode_frames,
    encode_script,
    to_shell_command,
)
from hardpan.ssh.streams import MarkedStream, TerminalDecoder

MARKERS = Markers("0123456789abcdef")
START, READY, END = MARKERS.start.encode(), MARKERS.ready.encode(), MARKERS.end.encode()


def test_every_word_of_an_argv_is_quoted() -> None:
    argv = ["echo", "a b", "$(reboot)", "it's", "-n"]

    assert shlex.split(to_shell_command(argv)) == argv


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("is_become", [False, True])
def test_login_line_has_a_single_pair_of_quotes(tty: bool, is_become: bool) -> None:
    line = build_login_line(MARKERS, timeout_s=30, is_become=is_become, tty=tty)

    assert line.count("'") == 2
    assert line.endswith("'")
    assert not set("\n!\\`") & set(line)
    # What csh and fish would read themselves must be inside the quotes.
    assert not set('$"&;<>|*?[]{}()~#%') & set(line.partition("'")[0])


def test_headers_are_single_lines_with_a_time_limit() -> None:
    plain = build_plain_header(MARKERS)
    become = build_become_header(
        MARKERS, ["sudo", "-n", "--"], timeout_s=2.6, tty=False, input_bytes=10
    )

    assert "\n" not in plain + become
    assert build_login_line(MARKERS, timeout_s=2.6, is_become=False, tty=False).startswith(
        "timeout -k 5 3 sh -c "
    )
    assert "timeout -k 5 3 sh -c " in become
    assert "umask 077" in plain
    assert "LC_ALL=C;" in plain


@pytest.mark.parametrize("tty", [False, True])
def test_end_marker_is_in_no_argument_of_a_process(tty: bool) -> None:
    login_line = build_login_line(MARKERS, timeout_s=30, is_become=True, tty=tty)
    header = build_become_header(
        MARKERS, ["sudo", "-n", "--"], timeout_s=30, tty=tty, input_bytes=10
    )

    root_command = header[header.index("sudo") : header.index("; rc=$?; printf hardpan-end")]
    assert MARKERS.ready in root_command
    assert MARKERS.end_token not in login_line + root_command
    assert MARKERS.token not in MARKERS.end


def test_script_is_encoded_as_a_single_line() -> None:
    assert encode_script("a\\n\nb\t'") == b"a\\\\n\\nb\t'\n"


def test_frames_have_lengths_and_an_end() -> None:
    assert list(encode_frames(b"ab\n", is_last=True)) == [b"3\nab\n", b"0\n"]
    assert list(encode_frames(b"", is_last=False)) == []
    data = bytes(range(256)) * 300
    first, second = encode_frames(data, is_last=False)
    assert first.partition(b"\n")[2] + second.partition(b"\n")[2] == data


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_stream_is_split_at_the_markers(size: int) -> None:
    stream = MarkedStream(MARKERS, is_become=True)
    text = b"Welcome\n" + START + b"lecture\n" + READY + b"data hardpan-end-0\n" + END + b"3.bye"

    output = b"".join(stream.feed(text[i : i + size]) for i in range(0, len(text), size))

    assert output == b"data hardpan-end-0\n"
    assert (stream.preamble, stream.dialogue) == (b"Welcome\n", b"lecture\n")
    assert stream.exit_status == 3


def test_output_is_not_delayed() -> None:
    stream = MarkedStream(MARKERS, is_become=False)

    assert stream.feed(START + b"one\n") == b"one\n"
    assert stream.feed(b"two\nhard") == b"two\n"
    assert stream.feed(b"ly\n") == b"hardly\n"


def test_refusal_of_sudo_ends_the_stream() -> None:
    stream = MarkedStream(MARKERS, is_become=True)
    stream.feed(START + b"sudo: no\n" + END + b"1.")

    assert (stream.is_command_started, stream.exit_status) == (False, 1)
    assert stream.dialogue == b"sudo: no\n"


def test_damaged_exit_status_is_an_error() -> None:
    stream = MarkedStream(MARKERS, is_become=False)
    stream.feed(START + END + b"x123")

    assert stream.exit_status == -1


def test_endless_preamble_takes_bounded_memory() -> None:
    stream = MarkedStream(MARKERS, is_become=False)
    for _ in range(50):
        stream.feed(b"x" * 65536)

    assert len(stream.preamble) <= 65536
    assert stream.feed(START + b"ok") == b"ok"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_terminal_streams_are_separated(size: int) -> None:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    high = bytes.maketrans(alphabet, bytes(range(0x80, 0x80 + len(alphabet))))
    out, err = bytes(range(256)), b"errors\n"
    pairs = zip(
        base64.encodebytes(out).ljust(500), base64.b64encode(err).translate(high).ljust(500),
        strict=True,
    )  # fmt: skip
    text = bytes(b for pair in pairs for b in pair).replace(b" ", b"")
    decoder = TerminalDecoder()

    decoded = [decoder.feed(text[i : i + size]) for i in range(0, len(text), size)]

    assert b"".join(o for o, _ in decoded) == out
    assert b"".join(e for _, e in decoded) == err
