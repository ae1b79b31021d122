"""Jobs that survive a kill: the queue, the workflows, the worker, the cluster that computes."""
