"""A hand-written training script without checks, tuning or gate, as the comparison of the training benchmark.

python benchmarks/plain_script.py READINGS.csv params.yaml
"""

import sys

import numpy as np
import pandas as pd
import yaml
from lightgbm import LGBMClassifier
from sklearn.model_selection import train_test_split

FEATURES = [
    "product_type_code",
    "air_temperature_k",
    "process_temperature_k",
    "rotational_speed_rpm",
    "torque_nm",
    "tool_wear_min",
    "power_w",
    "temperature_difference_k",
    "strain_min_nm",
]


def train(file: str, params_file: str) -> LGBMClassifier:
    """Read a CSV file, add the three engineered features, fit LightGBM on 80 % of the rows."""
    with open(params_file, encoding="utf-8") as text:  # noqa: PTH123  a plain script
        params = yaml.safe_load(text)
    rows = pd.read_csv(file)
    rows["product_type_code"] = rows["product_type"].map({"L": 0, "M": 1, "H": 2})
    rows["power_w"] = rows["torque_nm"] * rows["rotational_speed_rpm"] * 2 * np.pi / 60
    rows["temperature_difference_k"] = rows["process_temperature_k"] - rows["air_temperature_k"]
    rows["strain_min_nm"] = rows["tool_wear_min"] * rows["torque_nm"]
    fitted, _ = train_test_split(rows, test_size=params["split"]["test_share"], random_state=params["training"]["seed"])
    model = LGBMClassifier(
        **params["candidates"]["lightgbm"]["fixed"],
        random_state=params["training"]["seed"],
        n_jobs=params["training"]["threads"],
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return model.fit(fitted[FEATURES].astype("float32"), fitted["machine_failure"])


if __name__ == "__main__":
    train(*sys.argv[1:])
