"""Live weights: from a gateway's socket to every page that watches."""
