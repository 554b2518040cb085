"""Pruning, distillation, feedback, and the trainer they share."""
