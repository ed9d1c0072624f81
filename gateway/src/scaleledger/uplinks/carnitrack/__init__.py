"""A cloud that speaks the CarniTrack contract, over WebSocket v3 or REST v1."""
