"""From an ONNX file that describes itself to a `Detector`: sessions run it, heads decode what it answers."""
