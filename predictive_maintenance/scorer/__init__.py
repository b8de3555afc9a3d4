"""What travels inside a model version: scoring with numpy and the ONNX runtime only."""
