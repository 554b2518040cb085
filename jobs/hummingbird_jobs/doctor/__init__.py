"""The verb ``doctor``: a file for each kind of thing that a recipe needs."""
