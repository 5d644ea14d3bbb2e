"""What is an answer, and what is a good one: one file a task."""
