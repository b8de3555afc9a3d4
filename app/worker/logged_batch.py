"""The predictions of a batch for the log."""

import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.store.predictions import Block, Predictions, rows_of_block
from predictive_maintenance.store.times import as_keys

from ..http.batch_response import ScoredBatch


def logged_blocks(scored: ScoredBatch, request_id: str, max_bytes: int, *, with_inputs: bool) -> list[Block]:
    """The predictions of the valid rows in blocks that have at most `max_bytes` together; further rows are left out.

    Without `with_inputs`, the store has the readings. The batch is answered in any case: without memory for all blocks, there
    are fewer.
    """
    blocks: list[Block] = []
    with suppress(MemoryError):
        for block in _blocks(scored, request_id, with_inputs=with_inputs):
            max_bytes -= len(block.content)
            if max_bytes < 0:
                break
            blocks.append(block)
    return blocks


def _blocks(scored: ScoredBatch, request_id: str, *, with_inputs: bool) -> Iterator[Block]:
    batch, machine, now = scored.batch, scored.model.scorer.machine, time.time_ns() // 1000
    names = machine.input_names if with_inputs else ()
    rows, together = np.flatnonzero(scored.valid), rows_of_block(len(names))
    for begin in range(0, len(rows), together):
        part = slice(begin, begin + together)
        places = rows[part]
        machines, times = (batch.columns.get(name) for name in (MACHINE_ID, machine.time_name))
        follow = len(places) == places[-1] - places[0] + 1
        yield Predictions(
            scored=now,
            request_id=request_id,
            failure_probability=scored.probabilities[part].tolist(),
            predicted_failure=scored.decisions[part].tolist(),
            row=int(places[0]) + 1 if follow else (places + 1).tolist(),
            reading_id=None if batch.reading_ids is None else [batch.reading_ids[place] for place in places],
            machine_id=None if machines is None else machines[places].tolist(),
            time=None if times is None else as_keys(as_times(times[places], machine)).tolist(),
            inputs={name: batch.columns[name][places].tolist() for name in names} or None,
        ).as_block()
