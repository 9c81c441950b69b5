def pull(name: str) -> None:
    """Placeholder, replaced before anything lands."""
