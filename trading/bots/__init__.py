"""The bots of the desk, as data: one file each, and the catalog."""
