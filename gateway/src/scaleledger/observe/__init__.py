"""Seeing what the gateway does: logs, and named points where a test may strike."""
