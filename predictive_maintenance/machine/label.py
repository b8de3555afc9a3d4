"""The section `label` of a description: what a model predicts, as a column or as failures within a horizon."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from ..strict_model import StrictModel
from .columns import Headers
from .names import Name, Text
from .spans import SpanText


class Mode(StrictModel):
    """A 0/1 column that says whether a failure was of this mode. With `failures`, it is computed from the failure's type."""

    label: Text
    headers: Headers = ()
    type: Annotated[
        Text | None, Field(description="With failures: the type of the failure in the table. Default: the mode's name.")
    ] = None


class RunToFailure(StrictModel):
    """Every machine fails at its last reading. The label is 1 in the `horizon` before it, inclusive."""

    horizon: Annotated[SpanText, Field(description="A span of time, such as 7d, or 30 for a counter.")]


class Failures(StrictModel):
    """Failures are events of a table. The label is 1 in the `horizon` before a failure, without the failure's own instant."""

    table: Annotated[Name, Field(description="The table in the section events that has the failures.")] = "failures"
    horizon: Annotated[SpanText, Field(description="A span of time, such as 7d, or 30 for a counter.")]
    ignore_after: Annotated[
        SpanText | None,
        Field(description="Readings less than this after a failure are left out, as those of a repair. Default: none."),
    ] = None


class Label(StrictModel):
    """What is predicted: a 0/1 column of the readings or, with `run_to_failure` or `failures`, a column that is computed."""

    column: Name
    label: Text = "Failure"
    headers: Headers = ()
    run_to_failure: RunToFailure | None = None
    failures: Failures | None = None
    modes: Mapping[Name, Mode] = {}

    @property
    def is_computed(self) -> bool:
        """Whether the label is computed, not read."""
        return self.rule is not None

    @property
    def rule(self) -> RunToFailure | Failures | None:
        """How the label is computed; None if it is a column."""
        return self.run_to_failure or self.failures

    @property
    def rule_name(self) -> str:
        """The key of the rule in the description."""
        return "run_to_failure" if self.run_to_failure else "failures"

    def mode_types(self) -> dict[str, str]:
        """With failures: the type of failure of each mode, by the mode's name."""
        return {name: mode.type or name for name, mode in self.modes.items()}

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.run_to_failure and self.failures:
            raise ValueError("only one of run_to_failure and failures is allowed")
        if self.is_computed and self.headers:
            raise ValueError(f"headers is not allowed with {self.rule_name}: the label is computed")
        if self.run_to_failure and self.modes:
            raise ValueError("modes is not allowed with run_to_failure: no column says how a machine failed")
        for name, mode in self.modes.items():
            if self.failures and mode.headers:
                raise ValueError(f"modes: {name}: headers is not allowed with failures: write type")
            if mode.type and not self.failures:
                raise ValueError(f"modes: {name}: type needs label.failures: write the headers of its column")
        return self
