"""Measured properties of a simulator: its climate, its exponents, how its errors grow.

Functions of tensors; states at sea are `(row, time, channel, cell)`, rows being independent
trajectories, times one output step apart.
"""
