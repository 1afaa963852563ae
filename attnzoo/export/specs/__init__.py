"""Serving specs: the inputs and outputs of the SavedModels of each family of tasks."""
