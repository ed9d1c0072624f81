"""Product files for the scales."""

from scaleledger.app.products import ListSource, Products
from scaleledger.bootstrap.ground import Ground


def add_products(ground: Ground, source: ListSource) -> Products | None:
    """Add the part that keeps the files at the cloud's list; None where no files are wanted."""
    section = ground.config.plu
    if section is None:
        return None
    products = Products(
        source,
        ground.store.plu,
        families=section.families,
        folder=ground.store.folder / section.folder,
        clock=ground.clock,
        rng=ground.rng,
    )
    ground.supervisor.add(ground.supervisor.part("products"), products.run)
    return products
