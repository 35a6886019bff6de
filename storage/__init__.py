"""What the desk remembers: SQLite or PostgreSQL by URL, and files named by their content."""
