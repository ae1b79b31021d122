"""Routes that give results to others: exports, releases, summaries of sites."""
