"""Commands that give results to others: release bundles, requests for them, federated sites."""
