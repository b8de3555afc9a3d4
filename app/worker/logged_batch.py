"""The predictions of a batch for the log."""

import time

import numpy as np

from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.store.predictions import MOST_ROWS, Block, Predictions
from predictive_maintenance.store.times import as_keys

from ..http.batch_response import ScoredBatch


def logged_blocks(scored: ScoredBatch, request_id: str, *, with_inputs: bool) -> list[Block]:
    """The predictions of the valid rows, some at a time. Without `with_inputs`, the store has the readings."""
    batch, machine, now = scored.batch, scored.model.scorer.machine, time.time_ns() // 1000
    rows, blocks = np.flatnonzero(scored.valid), list[Block]()
    for begin in range(0, len(rows), MOST_ROWS):
        part = slice(begin, begin + MOST_ROWS)
        places = rows[part]
        columns = {name: batch.columns[name][places] for name in batch.columns}
        times = columns.get(machine.time_name)
        follow = len(places) == places[-1] - places[0] + 1
        predictions = Predictions(
            scored=now,
            request_id=request_id,
            failure_probability=scored.probabilities[part].tolist(),
            predicted_failure=scored.decisions[part].tolist(),
            row=int(places[0]) + 1 if follow else (places + 1).tolist(),
            reading_id=None if batch.reading_ids is None else [batch.reading_ids[place] for place in places],
            machine_id=columns[MACHINE_ID].tolist() if MACHINE_ID in columns else None,
            time=None if times is None else as_keys(as_times(times, machine)).tolist(),
            inputs={name: columns[name].tolist() for name in machine.input_names} if with_inputs else None,
        )
        blocks.append(predictions.as_block())
    return blocks
