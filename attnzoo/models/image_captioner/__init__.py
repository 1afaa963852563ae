"""A convolutional encoder of pictures, and a recurrent decoder with attention over its grid."""
