from django.urls import path

from scaleledger_server.people import pages

urlpatterns = [
    path("verify/", pages.verify, name="second-factor-verify"),
    path("setup/", pages.setup, name="second-factor-setup"),
]
