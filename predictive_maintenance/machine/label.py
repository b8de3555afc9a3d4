"""The section `label` of a description: what a model predicts, as a column or as failures within a horizon."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from ..strict_model import StrictModel
from .columns import Headers
from .names import Name, Text
from .spans import SpanText


class Mode(StrictModel):
    """A 0/1 column that says whether a failure was of this mode."""

    label: Text
    headers: Headers = ()


class RunToFailure(StrictModel):
    """Every machine fails at its last reading. The label is 1 in the `horizon` before it, inclusive."""

    horizon: Annotated[SpanText, Field(description="A span of time, such as 7d, or 30 for a counter.")]


class Label(StrictModel):
    """What is predicted: a 0/1 column of the readings or, with `run_to_failure`, a column that is computed."""

    column: Name
    label: Text = "Failure"
    headers: Headers = ()
    run_to_failure: RunToFailure | None = None
    modes: Mapping[Name, Mode] = {}

    @property
    def is_computed(self) -> bool:
        """Whether the label is computed, not read."""
        return self.run_to_failure is not None

    @model_validator(mode="after")
    def _no_columns_of_a_computed_label(self) -> Self:
        if self.is_computed and self.headers:
            raise ValueError("headers is not allowed with run_to_failure: the label is computed")
        if self.is_computed and self.modes:
            raise ValueError("modes is not allowed with run_to_failure: no column says how a machine failed")
        return self
