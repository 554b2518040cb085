"""Training methods: small classes with their losses; none knows DeepSpeed or Ray."""
