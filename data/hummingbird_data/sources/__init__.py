"""Where raw video comes from: folders, globs, object storage, manifests."""
