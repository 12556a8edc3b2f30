"""How well and how fast stepwell recalls, beside plain rankers in the same run."""
