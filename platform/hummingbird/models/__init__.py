"""The video U-Net, its pipeline, rewards and quality models."""
