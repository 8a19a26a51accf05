"""What the entries of a catalog are here: their kinds, and what is found about them."""
