"""The site's addresses. GET shows, POST does."""

from django.urls import path

from playground import offline, views
from playground.learn import progress, quiz
from playground.learn import views as learn
from playground.runs import views as runs

urlpatterns = [
    path("", views.home, name="home"),
    path("lessons/", learn.index, name="lessons"),
    path("lessons/<slug:slug>/", learn.lesson, name="lesson"),
    path("lessons/<slug:slug>/goal/", learn.goal, name="lesson-goal"),
    path("lessons/<slug:slug>/<slug:what>/", learn.act, name="lesson-act"),
    path("quiz/", quiz.index, name="quiz"),
    path("quiz/next/", quiz.next_one, name="quiz-next"),
    path("quiz/<slug:name>/<int:seed>/", quiz.question, name="question"),
    path("quiz/<slug:name>/<int:seed>/moment/", quiz.moment, name="moment"),
    path("progress/", progress.page, name="progress"),
    path("progress/link/", progress.link, name="progress-link"),
    path("progress/carry/<str:token>/", progress.carry, name="carry"),
    path("progress/export/", progress.export, name="progress-export"),
    path("progress/delete/", progress.delete, name="progress-delete"),
    path("play/", views.play, name="play"),
    path("play/<slug:slug>/", views.play_one, name="play-one"),
    path("history/play/<slug:slug>/<int:n>/<str:digest>.json", views.chunk, name="chunk"),
    path("history/run/<path:name>/<int:n>/<str:digest>.json", learn.run_chunk, name="run-chunk"),
    path("history/room/<str:code>/<int:epoch>/", views.room_history, name="room-history"),
    path(
        "history/room/<str:code>/<int:epoch>/<int:n>/<str:digest>.json", views.room_chunk, name="room-chunk"
    ),
    path("room/open/", views.open_room, name="open-room"),
    path("room/<str:code>/", views.room, name="room"),
    path("runs/", runs.begin, name="begin-runs"),
    path("runs/<str:code>/", runs.job, name="runs"),
    path("runs/<str:code>/now/", runs.now, name="runs-now"),
    path("runs/<str:code>/cancel/", runs.cancel, name="cancel-runs"),
    path("runs/<str:code>/open/", runs.open_outcome, name="open-outcome"),
    path("offline/", offline.page, name="offline"),
    path("sw.js", offline.worker, name="offline-worker"),
    path("healthz", views.healthz, name="healthz"),
]

handler400 = "playground.errors.refused"
handler403 = "playground.errors.forbidden"
handler404 = "playground.errors.not_found"
handler500 = "playground.errors.failed"
