"""Operations on many files at once, with as many threads as they take."""

from madang.files.listing import Entry, Kind, Listing, ScanError, scan

__all__ = ["Entry", "Kind", "Listing", "ScanError", "scan"]
