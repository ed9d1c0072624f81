"""Weighings and what contradicted them, to look at and to search. Nothing here can be changed."""

from django.contrib import admin

from scaleledger_server.devices.admin import ReadOnlyAdmin
from scaleledger_server.weighing.models import IngestConflict, WeighingRecord


@admin.register(WeighingRecord)
class WeighingRecordAdmin(ReadOnlyAdmin):
    """Every weighing, newest first."""

    list_display = [
        "measured_at",
        "gateway",
        "station",
        "rfid_uid",
        "weight_text",
        "unit",
        "seq",
        "kind",
        "received_at",
    ]
    list_filter = ["gateway", "station", "kind"]
    list_select_related = ["gateway"]
    date_hierarchy = "measured_at"
    search_fields = ["uuid", "rfid_uid", "station"]
    ordering = ["-id"]
    show_full_result_count = False


@admin.register(IngestConflict)
class IngestConflictAdmin(ReadOnlyAdmin):
    """What was offered and contradicts what is held."""

    list_display = ["gateway", "kind", "uuid", "seq", "times", "first_seen", "last_seen"]
    list_filter = ["kind", "gateway"]
    list_select_related = ["gateway"]
    search_fields = ["uuid"]
