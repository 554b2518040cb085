"""The cache of latents, a part at a time."""
