"""What several figures share: their frame, their models and tasks, what they read off weights, and how they draw."""
