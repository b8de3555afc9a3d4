"""What can go wrong by a person's hand or a machine's: each error names the thing at fault and the way out."""


class PredictiveMaintenanceError(Exception):
    """The base of every error that a person can act on. Its text is meant to be read, without a traceback."""


class ConfigError(PredictiveMaintenanceError):
    """params.yaml, or a value that replaces one of its settings, is not valid."""


class SourceError(PredictiveMaintenanceError):
    """A data source is missing, unreadable, empty, or has columns that cannot be matched."""


class DataError(PredictiveMaintenanceError):
    """The rows themselves do not allow what was asked: too many are bad, too few are left, a class is missing."""


class RegistryError(PredictiveMaintenanceError):
    """The tracking server or the model registry cannot be reached, refuses, or holds no such version."""


class ModelError(PredictiveMaintenanceError):
    """A model's files are incomplete, or it does not give the answers recorded with it."""
