"""The native parts of Madang. Use them through `madang`, which gives them names and types."""

from madang_native._native import Placement, change_mode, change_owner, remove, scan

__all__ = ["Placement", "change_mode", "change_owner", "remove", "scan"]
