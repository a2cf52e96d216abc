"""The replica process: loads a model and answers the Open Inference Protocol (v2) over HTTP.

    python -m madang.runtimes --model DIR --name digits --version 3 --port 8080

It runs inside the model's own environment and imports the standard library, numpy, and what the
model itself needs.
"""
