"""The production version as a baseline: what a challenger is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..scorer.scoring import Scorer


@dataclass(frozen=True, kw_only=True)
class BaselineModel:
    """The version that `production` points to. `training_rows` are hashes of the readings it was trained on.

    `rolled_back` names, by the fingerprint of their training rows, the versions that production was rolled back from.
    """

    version: str
    scorer: Scorer
    training_rows: npt.NDArray[np.uint64]
    training_fingerprint: str
    rolled_back: Mapping[str, str] = field(default_factory=dict)
