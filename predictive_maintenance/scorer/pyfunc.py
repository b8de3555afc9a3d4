"""The scorer as an MLflow pyfunc model. A model version contains a copy of this module and its imports, and no pickle."""

from typing import Any

import mlflow.pyfunc
import pandas as pd

from .scoring import Scorer


class PredictiveMaintenanceModel(mlflow.pyfunc.PythonModel):
    """Predict `failure_probability`, and `predicted_failure` (0 or 1) at the decision threshold, from raw columns."""

    def load_context(self, context: Any) -> None:
        self.scorer = Scorer.load(context.artifacts["scorer"])

    def predict(
        self,
        context: Any,  # noqa: ARG002  MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        probabilities = self.scorer.probabilities(model_input)
        predicted = self.scorer.decisions(probabilities).astype("int32")
        return pd.DataFrame(
            {"failure_probability": probabilities, "predicted_failure": predicted}, index=model_input.index
        )
