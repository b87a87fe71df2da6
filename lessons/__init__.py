"""What is taught, asked and remembered; today the scenarios. Knows the engine, not the site."""
