"""The house's own scripts: set-up, the supervisor, the checks. Standard library only: they run before
anything is installed, and must go on working when what is installed is broken."""
