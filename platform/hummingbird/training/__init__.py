"""Training: the latent cache, the trainer, its engines, and the methods."""
