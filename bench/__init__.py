"""Every number of the README's table, measured in one run on one machine."""
