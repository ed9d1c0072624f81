"""Species, producers and the cards that stand for both."""
