"""Pruning: plans, the weights that a plan keeps, and the planner that makes plans."""
