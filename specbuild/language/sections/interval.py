"""A length of time as the value of a key: `2 min`."""

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from specbuild.language.interval import interval

Time: TypeAlias = Annotated[str, Field(examples=["2 min"]), BeforeValidator(interval)]
