"""Products that the scales know by number. Every change makes a new version of the list, which edges fetch as a whole."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

NUMBER = RegexValidator(r"\A[0-9]{1,5}\Z", "Write one to five digits.")
BARCODE = RegexValidator(r"\A([0-9]{5,13})?\Z", "Write 5 to 13 digits, or nothing.")


class Product(models.Model):
    """One product. `number` is what the butcher types at the scale; `price` is in the smallest coin per kg or piece."""

    class Unit(models.TextChoices):
        KG = "kg"
        PIECE = "piece"

    number = models.CharField(max_length=5, unique=True, validators=[NUMBER])
    name = models.CharField(max_length=100)
    label_name = models.CharField("name on the scale", max_length=16, help_text="At most 16 characters.")
    barcode = models.CharField(max_length=13, blank=True, default="", validators=[BARCODE])
    department = models.CharField(max_length=3, blank=True, default="")
    price = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(99_999)])
    unit = models.CharField(max_length=5, choices=Unit, default=Unit.KG)
    tare_grams = models.PositiveIntegerField("tare in g", default=0, validators=[MaxValueValidator(9_999)])
    label_type = models.CharField(max_length=2, blank=True, default="")
    shelf_life_days = models.PositiveIntegerField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(9_999)]
    )
    is_active = models.BooleanField("active", default=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class ListVersion(models.Model):
    """The list's present version: one row."""

    number = models.PositiveBigIntegerField(default=1)
    mark = models.CharField(max_length=8, blank=True, default="")

    def __str__(self) -> str:
        return self.tag

    @property
    def tag(self) -> str:
        """The version's name: an ETag's text."""
        return f"{self.number}-{self.mark}" if self.mark else str(self.number)
