"""Names in upstream's SCAP content, as every part of hardpan shortens them."""

from typing import Final

RULE_PREFIX: Final = "xccdf_org.ssgproject.content_rule_"
"""What the ids of upstream's rules begin with; profiles and people leave it out."""
