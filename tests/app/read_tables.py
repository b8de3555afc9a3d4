"""Read each table of a folder as the API does, and print the peak memory and the time of each as JSON.

python -m tests.app.read_tables FOLDER reads the files NAME and NAME.type, which contains the media type.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd  # noqa: F401  pyarrow imports it when a table is read; it is not part of what a table takes

from app.http.batch_request import read_batch
from app.problems import Problem
from app.schemas.reading import ReadingSchema
from app.settings import Settings
from predictive_maintenance.config.params_file import load_params


def main(folder: Path) -> None:
    params, settings = load_params(), Settings()
    schema = ReadingSchema(params.machine)
    for type_file in sorted(folder.glob("*.type")):
        body, media_type = type_file.with_suffix("").read_bytes(), type_file.read_text()
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before, start = _memory_mib("VmRSS"), time.process_time()
        try:
            batch = read_batch(
                body,
                media_type,
                settings.max_rows,
                settings.max_reading_bytes,
                settings.max_table_bytes,
                schema,
                params.columns.aliases,
            )
            status, detail = 200, f"{batch.rows} rows"
        except Problem as problem:
            status, detail = problem.status, problem.detail
        print(
            json.dumps(
                {
                    "name": type_file.stem,
                    "status": status,
                    "detail": detail,
                    "peak_mib": _memory_mib("VmHWM") - before,
                    "cpu_seconds": time.process_time() - start,
                }
            )
        )


def _memory_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
