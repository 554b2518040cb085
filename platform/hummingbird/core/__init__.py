"""What every part may use: errors, files at a place, hashes, devices and precision, references to models."""
