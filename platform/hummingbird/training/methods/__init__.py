"""Training methods: one file a method."""

METHODS = {
    "distillation": "hummingbird.training.methods.distillation:Distillation",
    "consistency": "hummingbird.training.methods.consistency:ConsistencyDistillation",
    "phased_consistency": "hummingbird.training.methods.phased:PhasedConsistency",
    "style": "hummingbird.training.methods.style:StyleLearning",
    "distribution_matching": "hummingbird.training.methods.distribution_matching:DistributionMatching",
}
"""Short names for ``distill.method`` and ``feedback.method``; others are named ``module:Class``."""
