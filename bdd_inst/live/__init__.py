"""Live background: a person in front of a blurred or another background, in an image, a video or a camera's stream."""
