"""Training of the small models of the shapes world, each in one plain process."""
