"""Lessons, questions and progress as pages. What is taught and what is right is `lessons/`'s to say."""
