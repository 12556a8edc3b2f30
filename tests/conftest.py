"""What all tests share."""

from hypothesis import settings

# Machines differ in speed: a slow one must not fail a property.
settings.register_profile("stepwell", deadline=None)
settings.load_profile("stepwell")
