"""What the CarniTrack contract means, carrier left out: records to events, the cloud's words to facts. No I/O, no clock.

The contract is contracts/carnitrack.md.
"""
