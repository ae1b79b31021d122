"""Charts as functions to Vega-Lite specifications: pages, reports and the API draw the same."""
