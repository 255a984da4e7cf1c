import pytest

from hardpan.builder.media.isolinuxcfg import edited, names_kickstart
from hardpan.errors import InputError

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


def test_install_entries_get_the_arguments_once_and_the_rescue_none() -> None:
    first, second, _in_help, text, rescue = lines(edited(MENU, ARGUMENTS), "append")

    for line in (first, second, text):
        assert line.endswith(" ".join(ARGUMENTS))
        assert line.count("inst.ks=") == 1
        assert "quiet" not in line.split()
        assert "rd.live.check" not in line
        assert line.startswith("append initrd=initrd.img inst.stage2=hd:LABEL=X ")
    assert rescue == "append initrd=initrd.img inst.stage2=hd:LABEL=X inst.rescue quiet"


def test_titles_of_install_entries_warn() -> None:
    titles = lines(edited(MENU, ARGUMENTS), "menu label")

    assert [t.endswith("(hardpan: unattended, ERASES DISKS)") for t in titles] == [
        *(True, True, True),
        *(False, False, False),
    ]


def test_help_texts_are_no_entries() -> None:
    text = edited(MENU, ARGUMENTS)

    assert "\tlabel nothing\n\tappend inst.stage2=no\n" in text


def test_the_first_install_entry_starts_by_itself_after_five_seconds() -> None:
    text = edited(MENU, ARGUMENTS)

    assert text.startswith("ui vesamenu.c32\ndefault linux\ntimeout 50\nontimeout linux\n")
    assert lines(text, "timeout") == ["timeout 50"]
    assert lines(text, "menu default") == ["menu default"]
    assert "label linux\n  menu default\n" in text


@pytest.mark.parametrize(
    "head",
    [
        "DEFAULT check\nPROMPT 1\nTIMEOUT 600\n",
        "default check\nprompt 1\ntotaltimeout 9000\nontimeout local\n",
        "prompt 1\n",
    ],
)
def test_without_a_menu_program_the_entry_is_named(head: str) -> None:
    text = edited(head + MENU.partition("\n\n")[2], ARGUMENTS)

    assert text.startswith("default linux\ntimeout 50\nontimeout linux\n")
    assert not lines(text, "ui") + lines(text, "menu default") + lines(text, "totaltimeout")
    assert "\nprompt 1\n" in text.lower()


def test_keywords_have_no_case_and_lines_may_end_as_in_dos() -> None:
    dos = MENU.replace("label ", "LABEL ").replace("  append ", "\tAppend   ").replace("\n", "\r\n")

    text = edited(dos, ARGUMENTS)

    assert "\r" not in text
    assert names_kickstart(text, ARGUMENTS)
    assert len(lines(text, "append")) == 5


def test_what_was_edited_may_be_edited_again() -> None:
    once = edited(MENU, ARGUMENTS)

    assert edited(once, ARGUMENTS) == once


@pytest.mark.parametrize("written", ["Rocky-9-6", "My Media", "My\\x20Media"])
def test_a_new_label_reaches_every_entry(written: str) -> None:
    old = MENU.replace("LABEL=X", f"LABEL={written.replace(' ', chr(92) + 'x20')}")

    text = edited(old, ARGUMENTS, relabel=(written.replace("\\x20", " "), "NEW"))

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
def test_a_menu_that_is_not_understood_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        edited(text, ARGUMENTS)


def test_a_menu_that_lacks_an_argument_somewhere_is_told_apart() -> None:
    done = edited(MENU, ARGUMENTS)

    assert names_kickstart(done, ARGUMENTS)
    assert not names_kickstart(MENU, ARGUMENTS)
    assert not names_kickstart(done.replace("fips=1", "fips=0", 1), ARGUMENTS)
    assert not names_kickstart("", ARGUMENTS)
