"""The errors that a user can act on. Each one names what is wrong, where, and how to fix it."""

import errno
import os

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class PredictiveMaintenanceError(Exception):
    """Base class of every error that a user can act on. Its text is shown without a traceback.

    `transient` is true when the same operation can succeed later without a change, for example after a network failure.
    """

    def __init__(self, text: str, *, transient: bool = False) -> None:
        super().__init__(text)
        self.transient = transient


class ConfigError(PredictiveMaintenanceError):
    """params.yaml, or a value that overrides one of its settings, is not valid."""


class SourceError(PredictiveMaintenanceError):
    """A data source is missing, unreadable or empty, or its columns cannot be matched."""


class TableLimitError(SourceError):
    """A table exceeds a limit. `limit` names what is limited, as TableLimits does."""

    def __init__(self, text: str, limit: str = "") -> None:
        super().__init__(text)
        self.limit = limit


class DataError(PredictiveMaintenanceError):
    """The rows do not allow the operation: too many are bad, too few are left, or a class is missing."""


class RegistryError(PredictiveMaintenanceError):
    """The tracking server or the model registry cannot be reached, refuses the request, or has no such version."""


class EngineError(PredictiveMaintenanceError):
    """The engine that works on the parts of a data set cannot be used, or was lost."""


class PartError(PredictiveMaintenanceError):
    """A file with rows of a training run is missing or damaged. `step` is the step of the flow that wrote it."""

    def __init__(self, text: str, step: str = "") -> None:
        super().__init__(text)
        self.step = step


class ModelError(PredictiveMaintenanceError):
    """A model's files are incomplete, or its predictions differ from those recorded with it."""


class StoreError(PredictiveMaintenanceError):
    """The store of readings cannot be used. `retry_seconds`: when it may be again; None if somebody has to act first.

    `replaced`: its file is not the one that was opened, so it has to be opened again.
    """

    def __init__(self, text: str, retry_seconds: int | None = None, *, replaced: bool = False) -> None:
        super().__init__(text, transient=retry_seconds is not None)
        self.retry_seconds, self.replaced = retry_seconds, replaced


class ServiceError(PredictiveMaintenanceError):
    """The running service refuses every request until a person acts, for example because of a wrong API key."""


def is_disk_full(error: BaseException) -> bool:
    """Whether the system refused to write because the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def disk_full_reason(text: str) -> str | None:
    """The system's words for a full disk in the text of a library's error; None if it does not have them."""
    return next((reason for reason in map(os.strerror, _DISK_FULL) if reason in text), None)
