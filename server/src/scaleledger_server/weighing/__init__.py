"""Weighings as the centre holds them: taken in once, never altered, checked against each gateway's ledger."""
