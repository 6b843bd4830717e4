"""A Python-based backend that serves ONNX models as Triton's own ONNX Runtime backend does."""
