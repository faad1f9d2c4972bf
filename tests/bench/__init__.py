"""`./run bench`: what a durably acknowledged beat costs, beside a bare echo of the same frame in the same run."""
