"""Live background: a person in front of a blurred or another background, in a picture, a video or a camera's stream."""
