"""What scores a clip."""
