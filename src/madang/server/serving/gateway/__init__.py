"""The gateway's parts: who may pass, where to, and the relaying itself.

The process must stay small: nothing here imports the database or the web framework of the API.
"""
