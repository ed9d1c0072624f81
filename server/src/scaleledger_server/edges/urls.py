"""Paths of the REST carrier. Resources of another kind (labels, products) bring a module with `urlpatterns` of their own."""

from django.urls import path, re_path

from scaleledger_server.edges import api, api_labels, api_plu

EDGE = "api/v1/edge"

urlpatterns = [
    path("api/v1/activate", api.activate),
    path(f"{EDGE}/register", api.register),
    path(f"{EDGE}/config", api.config),
    path(f"{EDGE}/sessions", api.sessions),
    path(f"{EDGE}/events", api.event),
    path(f"{EDGE}/events/batch", api.event_batch),
    path(f"{EDGE}/offline-batches/ack", api.offline_batch),
    path(f"{EDGE}/devices/status", api.device_status),
    path(f"{EDGE}/heartbeat", api.heartbeat),
    *api_labels.urlpatterns,
    *api_plu.urlpatterns,
    re_path(r"^api/v1/.*$", api.nothing),  # the last one
]
