"""What cards stand for: a producer's goods of one species. Gateways hold a copy of all of it."""

import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

SPECIES_MAX, PRODUCERS_MAX, CARDS_MAX = 10_000, 100_000, 100_000  # contracts/catalogue.schema.json


class Bounded(models.Model):
    """Rows of which gateways take only so many."""

    rows_max: int

    class Meta:
        abstract = True

    def clean(self) -> None:
        if self._state.adding and type(self)._default_manager.count() >= self.rows_max:  # noqa: SLF001
            raise ValidationError(f"There may be at most {self.rows_max}. Delete some that are not used any more.")


class Species(Bounded):
    """A kind of goods."""

    rows_max = SPECIES_MAX

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "species"

    def __str__(self) -> str:
        return self.name


class Producer(Bounded):
    """Who brings goods. Two may bear the same name; the uuid tells them apart."""

    rows_max = PRODUCERS_MAX

    uuid = models.UUIDField("UUID", default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=20, null=True, blank=True)  # noqa: DJ001 - null is what the contract says
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["name"])]

    def __str__(self) -> str:
        return self.name


class RfidCard(Bounded):
    """A card, by the text that readers show for it (without surrounding blanks). An inactive one weighs nothing."""

    rows_max = CARDS_MAX

    uuid = models.UUIDField("UUID", default=uuid.uuid4, unique=True, editable=False)
    uid = models.CharField("UID", max_length=50, unique=True)
    producer = models.ForeignKey(Producer, on_delete=models.PROTECT, related_name="cards")
    species = models.ForeignKey(Species, on_delete=models.PROTECT, related_name="cards")
    is_active = models.BooleanField(default=True)
    issued_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["uid"]
        verbose_name = "RFID card"

    def __str__(self) -> str:
        return self.uid


class MarketVersion(models.Model):
    """One row: how often the market data changed, and a mark made anew each time.

    The mark keeps a database restored from a backup from giving an old version's name to new data.
    """

    number = models.BigIntegerField(default=0)
    mark = models.CharField(max_length=16)

    def __str__(self) -> str:
        return f"{self.number}-{self.mark}"
