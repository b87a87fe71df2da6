"""Where connections come in: pages to Django, sockets to the consumers, each from allowed origins only."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "playground.settings")
pages = get_asgi_application()  # loads the settings and all content; everything below needs them

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from playground.origins import OwnOrigins  # noqa: E402
from playground.rooms.consumers import RecordingConsumer, RoomConsumer  # noqa: E402

sockets = OwnOrigins(
    URLRouter(
        [
            path("ws/play/<slug:slug>/", RecordingConsumer.as_asgi()),
            path("ws/room/<str:code>/", RoomConsumer.as_asgi()),
        ]
    )
)

application = ProtocolTypeRouter({"http": pages, "websocket": sockets})
