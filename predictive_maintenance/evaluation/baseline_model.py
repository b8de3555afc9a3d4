"""The champion as the baseline that a challenger is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..scorer.scoring import Scorer
from .trained_hashes import Hashes, StoredHashes


@dataclass(frozen=True, kw_only=True)
class BaselineModel:
    """The version with the alias `production`.

    `training_rows` are hashes of the ids of its training readings, in memory or in a table. `rolled_back` maps the training
    fingerprint of each version that was rolled back to that version. If its files cannot be read, `unreadable` is the reason,
    `scorer` is None, and `training_rows` is empty.
    """

    version: str
    scorer: Scorer | None
    training_rows: Hashes | StoredHashes
    training_fingerprint: str
    rolled_back: Mapping[str, str] = field(default_factory=dict)
    unreadable: str = ""
