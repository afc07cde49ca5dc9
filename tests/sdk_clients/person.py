"""Somebody with an actor and a browser, who signs in and answers when a client asks to be let in."""

from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

import httpx2

CREATOR = "ann@example.com"
PASSPHRASE = "correct horse battery"


class Person:
    """Makes an actor of their own. The browser keeps its cookies, so that one sign-in lasts."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.browser = httpx2.Client(follow_redirects=False, trust_env=False, timeout=30)
        self.sign_ins = 0
        made = self.browser.post(f"{base_url}/", json={"creator": CREATOR, "passphrase": PASSPHRASE})
        assert made.status_code == 201, f"no actor was made: {made.status_code} {made.text}"
        self.actor = made.json()["id"]

    def answer(self, authorization_url: str, decision: str) -> dict[str, str]:
        """Opens the URL, signs in if asked to, and presses `allow` or `deny`; returns what the client is told."""
        redirect_uri = dict(parse_qsl(urlsplit(authorization_url).query))["redirect_uri"]
        page = self.browser.get(authorization_url)
        for _ in range(10):
            if page.is_redirect:
                url = str(page.request.url.join(page.headers["location"]))
                if url.startswith(redirect_uri):
                    return dict(parse_qsl(urlsplit(url).query))
                page = self.browser.get(url)
                continue
            assert page.status_code == 200, f"{page.request.url} answered {page.status_code}: {page.text}"
            form = Form(page.text)
            if "passphrase" in form.fields:
                self.sign_ins += 1
                form.fields |= {"actor": self.actor, "passphrase": PASSPHRASE}
            else:
                form.fields["decision"] = decision
            # As browsers do; forms that do not say where they come from are refused.
            headers = {"origin": self.base_url, "sec-fetch-site": "same-origin"}
            page = self.browser.post(form.action, data=form.fields, headers=headers)
        raise AssertionError("ten pages, and none led back to the client")

    def permit(self, client_id: str, rights: dict) -> None:
        """Lets a client do this, too, as the actor's owner."""
        url = f"{self.base_url}/{self.actor}/trust/mcp_client/oauth2_client:{client_id}/permissions"
        reply = self.browser.put(url, json=rights, auth=(CREATOR, PASSPHRASE))
        assert reply.is_success, f"the owner could not change the client's rights: {reply.status_code} {reply.text}"


class Form(HTMLParser):
    """The first form of a page: where it leads, and its fields as they are filled in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._ended = False
        self.feed(page)
        assert self.action, f"a page without a form: {page}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._ended:
            return
        if tag == "form":
            self.action = given["action"] or ""
        elif tag == "input" and (given.get("type") != "radio" or "checked" in given):
            self.fields[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._ended = self._ended or tag == "form"
