import pytest

from hardpan.builder.media import isolinuxcfg
from hardpan.builder.media.isolinuxcfg import add_kickstart_arguments, has_kickstart_arguments
from hardpan.core.errors import InputError

ARGUMENTS = ("inst.ks=hd:LABEL=X:/ks.cfg", "fips=1", "console=tty0", "console=ttyS0,115200")
MENU = """\
default vesamenu.c32
timeout 600

display boot.msg

# Clear the screen when exiting the menu
menu clear
menu background splash.png
menu title Rocky Linux 9.6
menu color sel 0 #ffffffff #00000000 none

label linux
  menu label ^Install Rocky Linux 9.6
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=X inst.ks=http://old/ks quiet

label check
  menu label Test this ^media & install Rocky Linux 9.6
  menu default
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=X rd.live.check quiet

menu begin ^Troubleshooting
  menu title Troubleshooting

label text
  menu indent count 5
  menu label Install using ^text mode
  text help
	Try this option out if you're having trouble installing.
	label nothing
	append inst.stage2=no
  endtext
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=X inst.text quiet

label rescue
  menu label ^Rescue a Rocky Linux system
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=X inst.rescue quiet

label memtest
  menu label Run a ^memory test
  kernel memtest

label local
  menu label Boot from ^local drive
  localboot 0xffff

menu end
"""


def lines(text: str, keyword: str) -> list[str]:
    return [x.strip() for x in text.splitlines() if x.strip().lower().startswith(keyword)]


def test_install_entries_get_arguments_and_rescue_entry_does_not() -> None:
    first, second, _in_help, text, rescue = lines(
        add_kickstart_arguments(MENU, ARGUMENTS), "append"
    )

    for line in (first, second, text):
        assert line.endswith(" ".join(ARGUMENTS))
        assert line.count("inst.ks=") == 1
        assert "quiet" not in line.split()
        assert line.startswith("append initrd=initrd.img inst.stage2=hd:LABEL=X ")
    assert rescue == "append initrd=initrd.img inst.stage2=hd:LABEL=X inst.rescue quiet"


def test_only_entry_that_says_so_tests_the_media() -> None:
    menu = MENU.replace("quiet", "rd.live.check quiet")

    first, second, _in_help, text, _rescue = lines(
        add_kickstart_arguments(menu, ARGUMENTS), "append"
    )

    assert "rd.live.check" in second.split()
    assert "rd.live.check" not in first + text


def test_install_titles_warn_about_disk_erasure() -> None:
    titles = lines(add_kickstart_arguments(MENU, ARGUMENTS), "menu label")

    assert [t.endswith("(hardpan: unattended, ERASES DISKS)") for t in titles] == [
        *(True, True, True),
        *(False, False, False),
    ]


def test_help_texts_are_unchanged() -> None:
    text = add_kickstart_arguments(MENU, ARGUMENTS)

    assert "\tlabel nothing\n\tappend inst.stage2=no\n" in text


def test_first_install_entry_starts_after_five_seconds() -> None:
    text = add_kickstart_arguments(MENU, ARGUMENTS)

    assert text.startswith("ui vesamenu.c32\ndefault linux\ntimeout 50\nontimeout linux\n")
    assert lines(text, "timeout") == ["timeout 50"]
    assert lines(text, "menu default") == ["menu default"]
    assert "label linux\n  menu default\n" in text


def test_menu_waits_for_a_key_without_consent() -> None:
    text = add_kickstart_arguments(MENU, ARGUMENTS, waits_for_key=True)

    assert lines(text, "timeout") == ["timeout 00"]
    assert not lines(text, "prompt")
    assert len(isolinuxcfg.WAITING_TIMEOUT) == len(isolinuxcfg.STARTING_TIMEOUT)


@pytest.mark.parametrize("prompt", ["prompt 0\n", ""])
def test_entries_without_a_menu_wait_at_the_prompt(prompt: str) -> None:
    bare = f"default check\n{prompt}" + MENU.partition("\n\n")[2]

    text = add_kickstart_arguments(bare, ARGUMENTS, waits_for_key=True)

    assert text.startswith("default linux\ntimeout 00\nontimeout linux\nprompt 1\n")
    assert lines(text, "prompt") == ["prompt 1"]


@pytest.mark.parametrize(
    "head",
    [
        "DEFAULT check\nPROMPT 1\nTIMEOUT 600\n",
        "default check\nprompt 1\ntotaltimeout 9000\nontimeout local\n",
        "prompt 1\n",
    ],
)
def test_menu_without_program_has_default_entry(head: str) -> None:
    text = add_kickstart_arguments(head + MENU.partition("\n\n")[2], ARGUMENTS)

    assert text.startswith("default linux\ntimeout 50\nontimeout linux\n")
    assert not lines(text, "ui") + lines(text, "menu default") + lines(text, "totaltimeout")
    assert "\nprompt 1\n" in text.lower()


def test_keywords_ignore_case_and_crlf_is_handled() -> None:
    dos = MENU.replace("label ", "LABEL ").replace("  append ", "\tAppend   ").replace("\n", "\r\n")

    text = add_kickstart_arguments(dos, ARGUMENTS)

    assert "\r" not in text
    assert has_kickstart_arguments(text, ARGUMENTS)
    assert len(lines(text, "append")) == 5


def test_editing_is_idempotent() -> None:
    once = add_kickstart_arguments(MENU, ARGUMENTS)

    assert add_kickstart_arguments(once, ARGUMENTS) == once


@pytest.mark.parametrize("written", ["Rocky-9-6", "My Media", "My\\x20Media"])
def test_new_label_is_set_in_every_entry(written: str) -> None:
    menu = MENU.replace("LABEL=X", f"LABEL={written.replace(' ', chr(92) + 'x20')}")

    text = add_kickstart_arguments(menu, ARGUMENTS, relabel=(written.replace("\\x20", " "), "NEW"))

    assert text.count("inst.stage2=hd:LABEL=NEW") == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no install entry"),
        ("label x\n  kernel vmlinuz\n  append quiet\n", "no install entry"),
        ("append inst.stage2=hd:LABEL=X\nlabel x\n  kernel vmlinuz\n", "no install entry"),
        (f"include extra.cfg\n{MENU}", "includes another file"),
        (f"{MENU}menu include extra.cfg\n", "includes another file"),
        (f"ui vesamenu.c32 extra.cfg\n{MENU}", "includes another file"),
        ("label x\n menu label ^Rescue it\n append inst.stage2=x\n", "no install entry"),
        ("label x\n menu label Res^cue it\n append inst.stage2=x\n", "no install entry"),
    ],
)
def test_unsupported_menu_is_rejected(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        add_kickstart_arguments(text, ARGUMENTS)


def test_entry_without_argument_is_detected() -> None:
    edited_menu = add_kickstart_arguments(MENU, ARGUMENTS)

    assert has_kickstart_arguments(edited_menu, ARGUMENTS)
    assert not has_kickstart_arguments(MENU, ARGUMENTS)
    assert not has_kickstart_arguments(edited_menu.replace("fips=1", "fips=0", 1), ARGUMENTS)
    assert not has_kickstart_arguments("", ARGUMENTS)
