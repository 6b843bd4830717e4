"""An embedded, real tritonserver for laptops and tests."""
