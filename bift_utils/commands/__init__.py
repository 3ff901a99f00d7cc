"""What makes what ships: the checkpoint, the results, the course, the site."""
