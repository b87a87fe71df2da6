"""What the tables of mass runs have gone through."""
