"""What customers read of tools and tiers is what is charged."""

from django.test import Client

from gateway.catalogue import snapshot
from gateway.catalogue.features.models import Feature
from hontoni.money import nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person


def test_lists_and_page_say_what_a_call_costs(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    Feature.objects.filter(name="web_search_*").update(amount=nanos("0.0777"))
    snapshot.forget()
    with gateway.http(alice) as http:
        served = {model["id"]: model for model in http.get("/v1/models").json()["data"]}
    told = {model["id"]: model for model in Client().get("/api/models").json()["data"]}
    for models in (served, told):
        found = {each["name"]: each for each in models["claude-opus-4.6"]["features"]}
        assert found["web_search"]["price_per_call"] == "0.0777"
        assert found["speed=fast"]["factor"] == "6"
        assert "speed=fast" not in str(models["claude-haiku-4.5"]["features"])
        tiers = {each["name"]: each for each in models["gpt-5.2"]["features"]}
        assert tiers["service_tier=flex"]["factor"] == "0.5"
    for language in ("en", "vi"):
        head = {"Accept-Language": language}
        page = Client().get("/docs/models-and-pricing", headers=head).content.decode()
        assert {"en": "$0.0777 each", "vi": "$0,0777 mỗi lần"}[language] in page
        assert {"en": "fast mode", "vi": "chế độ nhanh"}[language] in page
        assert "<code>googleSearch</code>" in page
