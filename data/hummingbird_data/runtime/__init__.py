"""How stages run: progress, metrics, what is committed."""
