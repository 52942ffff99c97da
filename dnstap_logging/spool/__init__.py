"""The spool: a folder of captures on disk, where records wait for a collector that is away."""
