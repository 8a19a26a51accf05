"""How sure a number is: resampling, intervals, seeds, pairs, rank ranges."""
