"""Products as the scales know them, and the versions of their list."""
