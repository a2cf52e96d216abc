"""The client, written once: `scripts/generate_sync_client` makes `client/_sync` from it."""
