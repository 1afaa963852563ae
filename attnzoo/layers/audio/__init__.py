"""The front end of speech: features of samples, and their augmentation."""
