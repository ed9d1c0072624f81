"""Printers at the sites, and labels to be printed on them."""
