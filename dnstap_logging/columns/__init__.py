"""Messages as rows of typed columns: their names, types and meaning, and how they are read."""
