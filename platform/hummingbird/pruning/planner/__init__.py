"""The planner: what each unit of a U-Net costs, what it matters, and which go under a budget; and what fits where."""
