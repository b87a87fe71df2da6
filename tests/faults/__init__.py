"""What happens to rooms when parts of the site die, stop or come back."""
