"""Doors for the operator: health and metrics."""
