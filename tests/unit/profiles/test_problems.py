from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from hardpan.profiles import problems
from hardpan.profiles.tree import read


class Tagged(BaseModel):
    tag: Annotated[str, Field(pattern=r"^[a-z]{3,30}$")]


def test_a_pattern_with_braces_is_told_and_does_not_break_the_telling() -> None:
    tree = read(b"tag: A\n", "x.yaml")

    with pytest.raises(ValidationError) as caught:
        Tagged.model_validate(tree.plain())

    _, text = problems.of_pydantic(tree, caught.value.errors()[0])
    assert text == "x.yaml:1:6: tag: String should match pattern '^[a-z]{3,30}$', found 'A'"
