"""What happens to a plate: prepare, each well, summary; in one process pool or as durable jobs."""
