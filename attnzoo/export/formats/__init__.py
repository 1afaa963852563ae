"""Formats of exported graphs: how a graph is written, and run in its own runtime."""
