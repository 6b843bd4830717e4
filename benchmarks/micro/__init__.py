"""What the framework costs by itself: pytest-benchmark's measurements, without HTTP or Triton."""
