"""What every part may use: errors, files, hashes, devices and precision, references to models."""
