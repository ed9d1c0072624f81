from django.urls import path

from scaleledger_server.weighing import pages

urlpatterns = [path("", pages.overview, name="overview"), path("lists/", pages.lists, name="lists")]
