"""The client, written once: `client/_sync` is generated from here by `scripts/generate_sync_client`."""
