"""Ray Serve: the generator, the video API and the page."""
