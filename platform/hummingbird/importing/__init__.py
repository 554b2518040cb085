"""Published checkpoints into pipeline folders: formats as explicit tables of names, and their parity."""
