"""How dates are written on pages: so that they sort, and to the second."""
