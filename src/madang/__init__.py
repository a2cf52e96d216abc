"""Madang: one platform where a team shares its GPUs and its data, from notebook to service."""

__version__ = "0.1.0"
