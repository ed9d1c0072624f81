from django.urls import path

from scaleledger_server.shifts import pages
from scaleledger_server.shifts.api import api
from scaleledger_server.shifts.words import in_their_language

operations = api.urls
for operation in operations[0]:
    assert operation.callback is not None, "an operation is a view"
    operation.callback = in_their_language(operation.callback)

urlpatterns = [
    path("shifts/", pages.scales, name="shifts"),
    path("shifts/login/", pages.login, name="shifts-login"),
    path("shifts/scales/<int:scale_id>/", pages.scale, name="shifts-scale"),
    path("shifts/sessions/<uuid:session_id>/", pages.session, name="shifts-session"),
    path("shifts/api/", operations),
]
