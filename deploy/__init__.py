"""What puts the images to work in a cloud. Nothing of the system imports it."""
