"""The laboratory: transformers trained on the tasks that programs solve, held against the compiled ones."""
