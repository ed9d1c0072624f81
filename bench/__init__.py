"""Comparable measurements: `python -m bench` from the repository's root; each prints one JSON object.

A time by itself says more of the machine than of the product. So every measurement runs the product and another arm in the
same run, taking turns, and states their ratio; or it counts (flushes, bytes). Where processor time is the claim, processor
time is measured, not the clock on the wall.
"""
