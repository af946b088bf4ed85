"""S24: images, updates, publications, and what stations say about them."""
