from django.urls import path

from scaleledger_server.weighing import orphan_pages, pages, proof_pages
from scaleledger_server.weighing.proof_pages import staff

RECORD = "admin/weighing/weighingrecord/<uuid:uuid>/"

urlpatterns = [
    path("", pages.overview, name="overview"),
    path("lists/", pages.lists, name="lists"),
    path(f"{RECORD}evidence/", staff(proof_pages.show), name="evidence"),
    path(f"{RECORD}void/", staff(proof_pages.void), name="void"),
    path(f"{RECORD}correct/", staff(proof_pages.correct), name="correct"),
    path("admin/devices/gateway/<int:pk>/reconcile/", staff(proof_pages.account), name="gateway-reconcile"),
    path("admin/weighing/orphans/", staff(orphan_pages.show), name="orphans"),
    path("admin/weighing/orphans/<int:pk>/", staff(orphan_pages.assign), name="orphans-assign"),
]
