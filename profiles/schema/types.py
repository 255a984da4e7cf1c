"""Value types of profile settings, each with its own error message.

Values end up in kickstarts, argv lists and unit files, so a value with an unexpected character
is rejected and never quoted or corrected. Patterns are ASCII:
``str.isdigit`` alone would let Arabic-Indic digits through.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from hardpan.core.files import MiB

_SIZE = re.compile(r"([0-9]{1,9}) (MiB|GiB)", re.ASCII)
_MIB = {"MiB": 1, "GiB": 1024}
_DAY = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}"


def validation_error(expected: str) -> PydanticCustomError:
    """Create the error of a validator."""
    return _expectation_error(expected)


def _expectation_error(expected: str) -> PydanticCustomError:
    # The text is an argument: a brace in it must not be read as a format field.
    return PydanticCustomError("hardpan", "{expected}", {"expected": expected})


@dataclass(frozen=True, slots=True)
class Pattern:
    """A string that fully matches ``pattern``; ``description`` names it in the error message."""

    pattern: str
    description: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the schema: a string, then the pattern."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the pattern to the JSON Schema."""
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise _expectation_error(f"expected {self.description}")
        return text


@dataclass(frozen=True, slots=True)
class _MibSizeValidator:
    """Validator of a size such as ``20 GiB`` or ``512 MiB``, stored in MiB."""

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the schema: ``parse_size_mib``."""
        return core_schema.no_info_plain_validator_function(parse_size_mib)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the written form in the JSON Schema."""
        return {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,8} (?:MiB|GiB)$",
            "examples": ["20 GiB"],
        }


def parse_size_mib(value: object) -> MiB:
    """Parse a size such as ``20 GiB`` or ``512 MiB`` and return it in MiB.

    Raises:
        PydanticCustomError: it has another form, or is 0.
    """
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _expectation_error("expected e.g. '20 GiB' or '512 MiB'")
    size = int(match[1]) * _MIB[match[2]]
    if size == 0:
        raise _expectation_error("must be more than 0")
    return MiB(size)


@dataclass(frozen=True, slots=True)
class _ProseValidator:
    """Validator of a sentence in any language; blanks and line ends are folded to single blanks."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the schema: a string, then ``_fold_prose``."""
        return core_schema.no_info_after_validator_function(_fold_prose, handler(source))


def _fold_prose(text: str) -> str:
    folded = " ".join(text.split())
    # isprintable() is false for control characters and for those that reorder other text.
    if not folded or not folded.isprintable():
        raise _expectation_error("expected printable text, not empty")
    return folded


def parse_date(value: object) -> date:
    """Parse a date such as ``2027-11-30``.

    Raises:
        PydanticCustomError: it has another form, or the date does not exist.
    """
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(_DAY, value, re.ASCII):
        raise _expectation_error("expected a day as 2027-11-30")
    try:
        return date.fromisoformat(value)
    except ValueError as e:
        raise _expectation_error("expected a day that exists") from e


_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

StrictInt = Annotated[int, Strict()]
StrictBool = Annotated[bool, Strict()]
MibSize = Annotated[MiB, _MibSizeValidator()]
ProfileName = Annotated[
    str,
    Pattern(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", "a name of a-z, 0-9 and single '-', e.g. lab-stig"),
]
Text = Annotated[
    str,
    Pattern(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", "one line of plain ASCII text, not empty"),
]
Prose = Annotated[str, _ProseValidator()]
"""Reasons and names of people, in any language."""

HostName = Annotated[
    str,
    Pattern(
        rf"(?=.{{1,253}}$){_DNS_LABEL}(?:\.{_DNS_LABEL})*",
        "a host name of lower-case letters, digits, '-' and '.'",
    ),
]
UserName = Annotated[
    str,
    Pattern(
        r"(?!root$)[a-z_][a-z0-9_-]{0,30}",
        "a user name of a-z, 0-9, '_' and '-', up to 31 long, never root",
    ),
]
Superuser = Annotated[
    # The content's own pattern for grub2_password takes letters and '_' only.
    str,
    Pattern(r"[a-z][a-z_]{1,30}", "a name of a-z and '_', e.g. bootwarden"),
]
GroupName = Annotated[
    str, Pattern(r"[a-z_][a-z0-9_-]{0,30}", "a group name of a-z, 0-9, '_' and '-', up to 31 long")
]
Gecos = Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}", "a full name in plain letters")]
PasswordHash = Annotated[
    str,
    Pattern(
        r"\$6\$(?:rounds=[1-9][0-9]{3,8}\$)?[./A-Za-z0-9]{8,16}\$[./A-Za-z0-9]{86}"
        r"|\$y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{8,86}\$[./A-Za-z0-9]{43}",
        "a crypt hash that begins with $6$ or $y$ (never a password)",
    ),
]
GrubHash = Annotated[
    str,
    Pattern(
        r"grub\.pbkdf2\.sha512\.[1-9][0-9]{3,7}\.[0-9A-Fa-f]{32,256}\.[0-9A-Fa-f]{128}",
        "a hash as grub2-mkpasswd-pbkdf2 prints it: grub.pbkdf2.sha512.ROUNDS.SALT.HASH",
    ),
]
MountPoint = Annotated[
    str,
    Pattern(
        r"/|(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}){1,8}|swap",
        "an absolute mount point of plain letters, e.g. /var/log, or swap",
    ),
]
MountOption = Annotated[
    str, Pattern(r"[a-z][a-z0-9_]*(?:=[A-Za-z0-9_.:/-]+)?", "one mount option, e.g. nodev")
]
DiskName = Annotated[
    str,
    Pattern(
        r"|(?:[shv]d[a-z]{1,2}|nvme[0-9]{1,2}n[0-9]{1,2})", "a disk as vda, sda or nvme0n1, or ''"
    ),
]
KernelArgument = Annotated[
    str,
    Pattern(
        r"[a-z_][A-Za-z0-9_.-]*(?:=[A-Za-z0-9_.,:/@+=-]+)?", "one kernel argument, e.g. audit=1"
    ),
]
PackageName = Annotated[
    str,
    Pattern(
        r"(?:@\^?)?[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}"
        r"|@[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}:[A-Za-z0-9_.+-]{1,99}(?:/[A-Za-z0-9_.+-]{1,99})?",
        "a package, @group, @^environment or @module:stream",
    ),
]
ServiceName = Annotated[
    str, Pattern(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,99}", "a systemd unit name, e.g. auditd")
]
RuleSelector = Annotated[
    str,
    Pattern(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,249}"
        r"|(?=(?:[^A-Za-z0-9]*[A-Za-z0-9]){3})[A-Za-z0-9*?\[_][A-Za-z0-9_.*?!\[\]-]{2,249}",
        "the id of a rule (XCCDF, STIG, SV, V or CCE) or a shell pattern of such",
    ),
]
"""A rule, or a pattern, which has at least three letters or digits: ``*`` would match any rule."""

XccdfId = Annotated[
    str,
    Pattern(r"xccdf_[A-Za-z0-9_.-]+_profile_[A-Za-z0-9_.-]+", "an XCCDF profile id"),
]
Language = Annotated[str, Pattern(r"[a-z]{2,3}_[A-Z]{2}\.UTF-8", "a locale as en_US.UTF-8")]
Keyboard = Annotated[str, Pattern(r"[a-z]{2,8}(?:-[a-z0-9]{1,16})*", "a keyboard layout as us")]
TimeZone = Annotated[
    str,
    Pattern(r"[A-Z][A-Za-z]{1,13}(?:/[A-Z][A-Za-z0-9_+-]{1,31}){0,2}", "a time zone as Etc/UTC"),
]
DayText = Annotated[str, Pattern(_DAY, "a day as 2027-11-30")]
Version = Annotated[str, Pattern(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}", "a version as '580.178.04'")]
GfxTarget = Annotated[str, Pattern(r"gfx[0-9]{1,2}[0-9a-f]{2}", "an AMD target as gfx942")]
SettingName = Annotated[
    str,
    Pattern(r"[a-z0-9_]+(?:\.[a-z0-9_-]+){1,6}", "a kernel setting, e.g. kernel.io_uring_disabled"),
]
SystemPath = Annotated[
    str,
    Pattern(
        r"/(?:usr|opt)(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}){1,8}", "a path below /usr or /opt"
    ),
]
CatalogName = Annotated[
    str, Pattern(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", "a name in the media catalog, e.g. rocky9")
]
CatalogId = Annotated[
    str, Pattern(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", "an id of a-z, 0-9 and single '-'")
]
Sha256Digest = Annotated[str, Pattern(r"[0-9a-f]{64}", "a sha256 of 64 lower-case hex digits")]
