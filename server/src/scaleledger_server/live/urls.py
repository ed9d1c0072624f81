from django.urls import path

from scaleledger_server.live import pages

urlpatterns = [path("auction/", pages.auction, name="auction")]
