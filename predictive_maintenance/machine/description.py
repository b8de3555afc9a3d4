"""The description of a kind of machine: what machines/NAME/machine.yaml contains."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ..strict_model import LocatedValueError, StrictModel
from .alarm import Alarm, AlarmPolicy
from .checks import contradictions
from .columns import Category, IdColumn, MachineColumn, Sensor, TimeColumn
from .events import EventTable
from .history import EventFeature, History, WindowFeature, event_features, window_features
from .label import Label
from .names import ModelName, Name, Text, UnitName
from .sections import Example, Feature, Group, OperatingLimit, Texts
from .spans import Span, parse_duration
from .table_format import TableFormat


class MachineDescription(StrictModel):
    """One kind of machine: its columns, features, operating limits, label, groups and examples."""

    name: Text
    model_name: Annotated[ModelName, Field(description="Name of the registered model.")]
    id: IdColumn | None = None
    machine: MachineColumn | None = None
    time: TimeColumn | None = None
    format: Annotated[
        TableFormat | None, Field(description="Separator and column names of files in which they cannot be detected.")
    ] = None
    units: Annotated[
        tuple[UnitName, ...], Field(description="Units that are not physical, such as part or stroke.")
    ] = ()
    categories: Mapping[Name, Category] = {}
    sensors: Annotated[Mapping[Name, Sensor], Field(min_length=1)]
    features: Mapping[Name, Feature] = {}
    events: Annotated[
        Mapping[Name, EventTable],
        Field(description="Tables of what happened to the machines. Need machine and time."),
    ] = {}
    history: Annotated[
        History | None,
        Field(description="Features from a machine's earlier readings and events. Needs machine and time."),
    ] = None
    operating_limits: tuple[OperatingLimit, ...] = ()
    label: Label
    alarm: Annotated[
        Alarm | None,
        Field(description="When an alarm opens and closes. Needs machine, time, and history or a computed label."),
    ] = None
    identity: Annotated[
        tuple[str, ...],
        Field(
            description="Columns that identify a reading without id, or without machine and time. Default: all inputs. "
            "If they are stated, a further sensor moves no row to the other side of a split."
        ),
    ] = ()
    group: Annotated[Group, Field(description="What must not be on both sides of a split.")] = "row"
    examples: Mapping[Name, Example] = {}
    texts: Texts = Texts()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if found := list(contradictions(self)):
            raise LocatedValueError(found)
        return self

    def window_features(self) -> tuple[WindowFeature, ...]:
        """The features from earlier readings, in order."""
        if self.history is None or self.time is None:
            return ()
        return tuple(window_features(self.history, self.sensors, self.time))

    def event_features(self) -> tuple[EventFeature, ...]:
        """The features from earlier events, in order."""
        if self.history is None or self.time is None:
            return ()
        return tuple(event_features(self.history, self.events, self.time))

    def past_feature_names(self) -> tuple[str, ...]:
        """The names of the features from earlier readings and events, in order."""
        windows = (feature.name for feature in self.window_features())
        return (*windows, *(feature.name for feature in self.event_features()))

    def horizon(self) -> Span | None:
        """How far ahead a computed label looks; None for a label that is a column."""
        rule = self.label.rule
        return parse_duration(rule.horizon, self.time) if rule and self.time else None

    def ignored_after_failure(self) -> float:
        """How long readings are left out after a failure: microseconds, or the counter's unit."""
        rule = self.label.failures
        return parse_duration(rule.ignore_after, self.time).length if rule and rule.ignore_after and self.time else 0.0

    def alarm_policy(self) -> AlarmPolicy:
        """When an alarm opens and closes: by default with every decision."""
        return self.alarm.policy() if self.alarm else AlarmPolicy()

    def plain(self) -> dict[str, Any]:
        """The description as JSON values, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)
