"""Backends for the embedded Triton that the wheel does not bring."""
