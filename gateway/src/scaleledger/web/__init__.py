"""The local door: who may pass, by which name the gateway may be called, and the server behind it."""
