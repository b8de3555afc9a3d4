"""The terms of an evaluation in one sentence each, for cards and reports."""

HELD_OUT = "Held-out rows were not used in training or to select the threshold."
OUT_OF_FOLD = (
    "Out-of-fold rows are training rows, each scored by a model that was trained without it (cross-validation)."
)
CHAMPION = "The champion is the version in production, the challenger is the model of this run."
MCC = "MCC is the Matthews correlation coefficient of decisions and failures: 1 is perfect, 0 is no better than chance."
CALIBRATION = "Calibration maps a model's scores to probabilities: of the readings with 0.8, about 80 % fail."

EVALUATION_TERMS = " ".join((HELD_OUT, OUT_OF_FOLD, CHAMPION, MCC))
