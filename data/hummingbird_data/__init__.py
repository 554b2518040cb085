"""Ray Data stages: raw video to a curated table, and a snapshot to a cache of latents."""
