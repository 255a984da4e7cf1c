from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from hardpan.core import validation_errors
from hardpan.core.yaml_source import read_yaml


class Tagged(BaseModel):
    tag: Annotated[str, Field(pattern=r"^[a-z]{3,30}$")]


def test_pattern_with_braces_is_formatted_literally() -> None:
    tree = read_yaml(b"tag: A\n", "x.yaml")

    with pytest.raises(ValidationError) as caught:
        Tagged.model_validate(tree.to_plain())

    _, text = validation_errors.from_pydantic(tree, caught.value.errors()[0])
    assert text == "x.yaml:1:6: tag: String should match pattern '^[a-z]{3,30}$', got 'A'"
