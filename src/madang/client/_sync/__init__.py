# Generated from ../_async by scripts/generate_sync_client: change it there.
"""The client without async, generated from `_async`."""
