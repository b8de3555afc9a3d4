"""Scoring with numpy and the ONNX runtime only. Each model version contains a copy of this package."""
