"""Model files: ONNX networks, their cards, and the labels of their outputs."""
