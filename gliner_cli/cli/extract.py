from gliner_cli.options import Reading


def extract(*, reading: Reading) -> None:
    """Placeholder, replaced before anything lands."""
