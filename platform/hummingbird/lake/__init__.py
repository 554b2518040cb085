"""The lake: Iceberg tables of clips, quarantine, runs and models, and the lineage between them."""
