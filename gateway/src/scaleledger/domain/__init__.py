"""Facts and rules of weighing: standard library only, no I/O, no clock."""
