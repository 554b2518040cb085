"""Rehearsals: a recipe's line with small models of random weights in the published formats."""
