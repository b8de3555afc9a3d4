"""The section `alarm` of a description: when an alarm about a machine opens and closes."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from ..strict_model import StrictModel

MAX_DECISIONS = 1000
"""The most decisions that a policy looks back on."""
_PATTERN = r"([0-9]{1,6}) of ([0-9]{1,6})"


@dataclass(frozen=True, kw_only=True)
class AlarmPolicy:
    """An alarm opens at a positive decision if `positive` of the last `of` decisions are, itself included.

    It closes at the `close_after`-th negative decision in a row.
    """

    positive: int = 1
    of: int = 1
    close_after: int = 1

    @property
    def memory(self) -> int:
        """How many of the latest decisions the policy needs."""
        return max(self.of, self.close_after)

    def text(self) -> str:
        """The policy as a clause."""
        opens = "at a positive decision" if self.of == 1 else f"at {self.positive} positive of {self.of} decisions"
        closes = "1 negative one" if self.close_after == 1 else f"{self.close_after} negative ones in a row"
        return f"opens {opens}, closes after {closes}"


def _opening(text: str) -> str:
    found = re.fullmatch(_PATTERN, text)
    if not found:
        raise ValueError(f"{text!r} is not a number of decisions: write, for example, 2 of 3")
    positive, of = int(found[1]), int(found[2])
    if not 1 <= positive <= of <= MAX_DECISIONS:
        raise ValueError(f"{text!r}: the first number must be 1 to the second, and the second at most {MAX_DECISIONS}")
    return text


Opening = Annotated[
    str, AfterValidator(_opening), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,6} of [0-9]{1,6}$"})
]


class Alarm(StrictModel):
    """When an alarm about a machine opens and closes. Without this section: with every decision."""

    open: Annotated[
        Opening,
        Field(description="An alarm opens if so many of the last decisions are positive, such as 2 of 3."),
    ] = "1 of 1"
    close_after: Annotated[
        int, Field(ge=1, le=MAX_DECISIONS, description="An alarm closes after so many negative decisions in a row.")
    ] = 1

    def policy(self) -> AlarmPolicy:
        """The numbers of the section."""
        positive, of = self.open.split(" of ")
        return AlarmPolicy(positive=int(positive), of=int(of), close_after=self.close_after)
