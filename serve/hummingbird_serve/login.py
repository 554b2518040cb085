"""The login of browsers: a key becomes a session cookie."""

import html
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hummingbird_serve.guard import COOKIE, address_of
from hummingbird_serve.keys import SESSION_SECONDS, KeyRing
from hummingbird_serve.requests import APIError

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Hummingbird</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif }
body { max-width: 22rem; margin: 15vh auto; padding: 0 1rem }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .6rem; margin: .3rem 0 }
p { color: #c22 }</style></head><body><h1>Hummingbird</h1>
<form method="post" action="/login"><label for="key">API key of this server</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button></form>PROBLEM</body></html>"""


def add_login(app: FastAPI, keys: KeyRing) -> None:
    """Adds ``/login`` and ``/logout``; without keys there is nobody to log in."""

    @app.get("/login", include_in_schema=False)
    async def ask() -> Response:
        return HTMLResponse(PAGE.replace("PROBLEM", "")) if keys else RedirectResponse("/", 303)

    @app.post("/login", include_in_schema=False)
    async def login(request: Request, key: Annotated[str, Form()]) -> Response:
        if not keys:
            return RedirectResponse("/", 303)
        try:
            found = keys.identify(key.strip(), address_of(request))
        except APIError as error:
            wrong = "This is no key of this server." if error.status == 401 else error.message
            page = PAGE.replace("PROBLEM", f'<p role="alert">{html.escape(wrong)}</p>')
            return HTMLResponse(page, error.status, error.headers())
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(
            COOKIE, keys.session(found), SESSION_SECONDS, secure=secure, httponly=True, samesite="lax"
        )
        return answer

    @app.post("/logout", include_in_schema=False)
    async def logout() -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return answer
