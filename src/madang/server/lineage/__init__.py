"""Lineage: dataset version → job → run → model version → endpoint, put together from the domains
that keep the links."""
