"""Browsers: sessions by link, by key and at a provider (A6)."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from imaging_service.access.members import add_member, end_member, find_member
from imaging_service.access.roles import Role
from imaging_service.api.accounts.signin import _local_path
from imaging_service.api.app import create_app
from imaging_service.settings import Settings
from tests.imaging_service.conftest import LOCAL_TOKEN
from tests.imaging_service.tenants import HTTP, RUN
from tests.oidc import authorised, provider_of
from tests.service import free_port

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": HTTP}


class Browser:
    """Keeps cookies, and follows redirects that stay on the service."""

    def __init__(self, app) -> None:
        self._app, self.cookies = app, httpx.Cookies()

    def ask(self, method, path, *, headers=None, **more):
        async def one():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url=HTTP, cookies=self.cookies
            ) as http:
                shown = {"Accept": "text/html"} | (headers or {})
                answer = await http.request(method, path, headers=shown, **more)
                self.cookies = http.cookies
                return answer

        return asyncio.run(one())

    def sign_in(self, key, to="/"):
        return self.ask("POST", "/session", data={"key": key, "to": to}, headers=OWN_PAGE)


@pytest.fixture
def browser(two_labs):
    return Browser(two_labs.app)


def test_a_key_opens_a_session_whose_cookie_holds_no_secret(two_labs, browser):
    key = two_labs.keys["viewer"]
    answer = browser.sign_in(key, f"/view/{RUN}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/view/{RUN}")
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    assert key.split("_", 2)[2] not in cookie
    assert browser.ask("GET", "/").status_code == 200
    assert browser.ask("GET", "/session").json()["name"] == "viewer"
    browser.ask("POST", "/logout", headers=OWN_PAGE)
    assert browser.ask("GET", "/").headers["location"] == "/login?to=/"


def test_a_wrong_key_is_refused_on_the_page(browser):
    answer = browser.sign_in("mns_wrong")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "mns_wrong" not in answer.text
    assert browser.ask("GET", "/").status_code == 303


def test_a_session_ends_with_its_key(two_labs, browser):
    browser.sign_in(two_labs.keys["viewer"])
    key = two_labs.keys["viewer"].split("_")[1]
    assert two_labs.ask("administrator", "DELETE", f"/keys/{key}").status_code == 204
    assert browser.ask("GET", "/runs", headers={"Accept": "*/*"}).status_code == 401


def test_a_cookie_that_was_changed_is_none(two_labs, browser):
    browser.sign_in(two_labs.keys["viewer"])
    ((name, value),) = browser.cookies.items()
    # The last letter but one: of the last, some bits say nothing.
    other_letter = value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1]
    for changed in (other_letter, "x" + value, ""):
        other = Browser(two_labs.app)
        other.cookies.set(name, changed)
        assert other.ask("GET", "/runs", headers={"Accept": "*/*"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": HTTP}, 202),
    ],
)
def test_a_change_with_a_session_must_come_from_a_page_of_the_service(
    two_labs, browser, headers, status
):
    browser.sign_in(two_labs.keys["operator"])
    assert browser.ask("POST", f"/runs/{RUN}/cancel", headers=headers).status_code == status


def test_a_foreign_page_cannot_sign_a_browser_in(two_labs, browser):
    body = {"key": two_labs.keys["viewer"]}
    answer = browser.ask("POST", "/session", data=body, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert not browser.cookies


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/a\r\nb"]
)
def test_the_sign_in_leads_to_no_other_site(to):
    assert _local_path(to) == "/"


def test_the_link_of_a_service_without_keys_opens_it(data_folder):
    browser = Browser(create_app(data_folder, LOCAL_TOKEN))
    assert browser.ask("GET", "/").headers["location"] == "/login?to=/"
    assert browser.ask("GET", "/open", params={"token": "wrong"}).status_code == 403
    assert browser.ask("GET", "/").status_code == 303
    answer = browser.ask("GET", "/open", params={"token": LOCAL_TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert browser.ask("GET", "/").status_code == 200
    # A cookie is signed, not hidden.
    import base64

    ((_, value),) = browser.cookies.items()
    assert LOCAL_TOKEN.encode() not in base64.b64decode(value.split(".")[0] + "==")


def test_the_link_opens_no_service_that_has_members(two_labs):
    browser = Browser(create_app(two_labs.settings, LOCAL_TOKEN))
    assert browser.ask("GET", "/open", params={"token": LOCAL_TOKEN}).status_code == 403


def test_the_cookies_of_two_services_have_different_names(two_labs, data_folder):
    names = set()
    for app, path in (
        (create_app(data_folder, LOCAL_TOKEN), f"/open?token={LOCAL_TOKEN}"),
        (create_app(Settings(data_dir=two_labs.folder)), None),
    ):
        browser = Browser(app)
        browser.ask("GET", path) if path else browser.sign_in(two_labs.keys["viewer"])
        names |= set(browser.cookies.keys())
    assert len(names) == 2


def test_over_https_the_cookie_is_sent_over_https_only(two_labs):
    settings = Settings(data_dir=two_labs.folder, public_url="https://imaging.example.org")
    browser = Browser(create_app(settings))
    answer = browser.ask(
        "POST",
        "/session",
        data={"key": two_labs.keys["viewer"]},
        headers={"Host": "imaging.example.org"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.fixture(scope="module")
def provider():
    """A real OpenID Connect provider, in a process of its own."""
    with provider_of(
        {"sub": "s-ann", "email": "ann@example.org", "email_verified": True},
        {"sub": "s-eve", "email": "eve@example.org", "email_verified": True},
    ) as issuer:
        yield issuer


@pytest.fixture
def at_provider(two_labs, provider, tmp_path):
    """A browser at a service that members sign in to with their institution's account."""
    secret = tmp_path / "client-secret"
    secret.write_text("the secret of the service\n")
    settings = Settings(
        data_dir=two_labs.folder,
        oidc_issuer=provider,
        oidc_client_id="imaging",
        oidc_client_secret_file=secret,
    )
    with two_labs.session() as session:
        add_member(session, "alpha", "ann", Role.REVIEWER, email="ann@example.org")
        session.commit()
    return Browser(create_app(settings))


def test_a_member_signs_in_at_the_provider(at_provider):
    page = at_provider.ask("GET", "/login")
    assert "/login/oidc?to=/" in page.text
    answer = at_provider.ask("GET", authorised(at_provider.ask, "s-ann", f"/view/{RUN}"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/view/{RUN}")
    who = at_provider.ask("GET", "/session").json()
    assert (who["name"], who["key"], who["projects"][0]["role"]) == ("ann", "", "reviewer")


def test_an_account_without_a_member_is_refused(at_provider):
    answer = at_provider.ask("GET", authorised(at_provider.ask, "s-eve"))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:imaging-service:forbidden")
    assert "eve@example.org" in answer.json()["detail"]
    assert at_provider.ask("GET", "/session").status_code == 303


def test_the_session_of_a_former_member_ends(at_provider, two_labs):
    at_provider.ask("GET", authorised(at_provider.ask, "s-ann"))
    with two_labs.session() as session:
        end_member(session, find_member(session, "ann"))
        session.commit()
    assert at_provider.ask("GET", "/session").status_code == 303


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(at_provider, two_labs):
    back = authorised(at_provider.ask, "s-ann")
    other = Browser(at_provider._app)
    assert other.ask("GET", back).status_code == 403
    assert other.ask("GET", "/session").status_code == 303
    assert at_provider.ask("GET", back).status_code == 303
    # A code is used once.
    assert at_provider.ask("GET", back).status_code == 403


def test_a_provider_that_is_away_is_not_the_caller_s_fault(two_labs):
    settings = Settings(
        data_dir=two_labs.folder, oidc_issuer=f"http://127.0.0.1:{free_port()}", oidc_client_id="x"
    )
    answer = Browser(create_app(settings)).ask("GET", "/login/oidc")
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:imaging-service:machine_unavailable",
    )


def test_a_service_without_a_provider_says_so(browser):
    assert browser.ask("GET", "/login/oidc").status_code == 404
    assert "/login/oidc" not in browser.ask("GET", "/login").text
