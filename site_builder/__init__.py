"""The documentation as a site (``make docs``): pages that are made from code, and links that leave it."""
