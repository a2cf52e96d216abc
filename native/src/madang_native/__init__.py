"""The native parts of Madang. Use them through `madang`, which gives them names and types."""

from madang_native._native import Placement, scan

__all__ = ["Placement", "scan"]
