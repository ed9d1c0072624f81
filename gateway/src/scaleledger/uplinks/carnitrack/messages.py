"""The CarniTrack contract's WebSocket envelope: texts in, facts out; what is to be said, as text. No I/O, no clock."""
