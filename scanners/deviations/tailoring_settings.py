"""The simple YAML form of a tailoring; each entry has a reason.

::

    title: Web servers of example.org
    author: site security officer
    extends: stig
    unselect:
      package_aide_installed: Another tool checks integrity; ticket 1234.
    select:
      RHEL-09-231190: Laptops leave the building.
    set:
      var_accounts_tmout: {value: "600", reason: The control room reads for longer.}
    severity:
      sshd_disable_root_login: {severity: high, reason: Exposed to the internet.}
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import Pattern, Prose, RuleSelector, validation_error

_XCCDF_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,249}"
XccdfName = Annotated[str, Pattern(_XCCDF_NAME, "an XCCDF id, full or without its prefix")]


def _number_to_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ValueSetting(ProfileSection):
    """Another value for a Value of the benchmark."""

    value: Annotated[Prose | None, BeforeValidator(_number_to_text)] = None
    """The value itself."""

    selector: XccdfName | None = None
    """One of the values that the benchmark offers, instead of ``value``."""

    reason: Prose

    @model_validator(mode="after")
    def _require_value_or_selector(self) -> Self:
        if (self.value is None) == (self.selector is None):
            raise validation_error("expected one of value and selector")
        return self


class SeveritySetting(ProfileSection):
    """Another severity for a rule."""

    severity: Literal["high", "medium", "low", "info", "unknown"]
    reason: Prose


class TailoringSettings(ProfileSection):
    """The content of a YAML tailoring."""

    title: Prose | None = None
    author: Prose | None = None
    """Who is responsible for the tailoring."""

    extends: XccdfName | None = None
    """The profile that it changes, e.g. ``stig``; by default the one of the scan."""

    unselect: dict[RuleSelector, Prose] = Field(default={})
    """Rule, pattern or group -> why it is not evaluated."""

    select: dict[RuleSelector, Prose] = Field(default={})
    """Rule, pattern or group -> why it is evaluated."""

    values: dict[XccdfName, ValueSetting] = Field(default={}, alias="set")
    severity: dict[RuleSelector, SeveritySetting] = Field(default={})

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if not (self.unselect or self.select or self.values or self.severity):
            raise validation_error("expected unselect, select, set or severity")
        return self
