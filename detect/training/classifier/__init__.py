"""Whole-picture classifiers in torch: architectures, recipes, data, what they leave on disk, and their way to ONNX."""
