"""Gateways: who they are, whether they may write, when they last spoke, and how far their ledgers reach."""
