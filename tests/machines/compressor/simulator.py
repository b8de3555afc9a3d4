"""Simulated compressors with worn bearings, for tests of machines that have extras of their own."""

import numpy as np
import pandas as pd


def simulate(rows: int, seed: int) -> pd.DataFrame:
    """Readings with missing values of the optional sensors. A wide clearance at many strokes breaks the bearing."""
    random = np.random.default_rng(seed)
    clearance_m = np.round(random.uniform(1e-5, 9e-4, rows), 6)
    strokes = np.round(random.uniform(0, 3e9, rows))
    return pd.DataFrame(
        {
            "clearance_m": clearance_m,
            "inlet_pa": random.uniform(9e4, 1.2e5, rows),
            "outlet_pa": random.uniform(6e5, 8e5, rows),
            "oil_degc": np.where(random.random(rows) < 0.3, np.nan, random.uniform(20, 90, rows)),
            "strokes": strokes,
            "broken": (clearance_m / 9e-4 + strokes / 3e9 > 1.5).astype(np.int8),
        }
    )
