"""What a folder of wheels would bring onto a host in FIPS mode. Nothing in a wheel is ever run."""
