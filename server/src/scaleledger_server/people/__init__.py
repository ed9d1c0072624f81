"""People at the centre: who may come in, from where, and how they prove it is them."""
