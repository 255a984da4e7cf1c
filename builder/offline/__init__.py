"""What an ISO carries so that the layers of its machines need no network."""
