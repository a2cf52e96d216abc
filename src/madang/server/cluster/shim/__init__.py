"""The shim: one small process for each task, which owns it and outlives the agent.

It is started by path (`python -I -S -E …/cluster/shim TASK_FOLDER`), imports a few modules of the
standard library and nothing else of madang, so that it starts in some tens of milliseconds and
stays near 12 MB. Its modules import each other relatively for that reason.
"""
