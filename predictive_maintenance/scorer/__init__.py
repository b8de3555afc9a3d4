"""Scoring with numpy, pydantic and the ONNX runtime only. Each model version contains a copy of this package."""
