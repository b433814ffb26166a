"""The margin of the gauge of retention, fixed before any run that it judges."""

GAUGE_MARGIN = 0.05
"""Bits per byte of KL(base || model) on text the base wrote."""
