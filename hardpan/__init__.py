"""The ground floor and the front door of hardpan."""
