"""Products (https://docs.stripe.com/api/products)."""

from sandbox.stripe.errors import Object, invalid
from sandbox.stripe.forms import Params, copy_texts
from sandbox.stripe.simulator import Call, Route, Simulator
from sandbox.stripe.wire import blank, listing, paginate

TEXTS = "name description statement_descriptor tax_code unit_label url"
TAKES = f"{TEXTS} active images metadata shippable marketing_features"


def make(sim: Simulator, name: str, **fields: object) -> Object:
    """A new product, announced."""
    empty = blank("default_price package_dimensions shippable") | blank(TEXTS)
    head = {
        "active": True,
        "images": [],
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "type": "service",
        "updated": sim.now(),
    }
    product = sim.new("product", **empty | head | fields)
    sim.emit("product.created", product)
    return product


def create(sim: Simulator, call: Call) -> Object:
    """The id may be chosen."""
    params, fields = call.params, Object()
    _assign(fields, params)
    if id := params.text("id"):
        if sim.store.find(id):
            raise invalid(f"Product already exists: {id}", "id", "resource_already_exists")
        fields["id"] = id
    name = params.need("name")
    return make(sim, name, **{k: v for k, v in fields.items() if k != "name"})


def _assign(product: Object, params: Params) -> None:
    copy_texts(product, params, TEXTS)
    if "active" in params:
        product["active"] = params.boolean("active")
    if "metadata" in params:
        product["metadata"] = params.metadata(product.get("metadata"))
    if "images" in params:
        product["images"] = params.texts("images")


def update(sim: Simulator, call: Call) -> Object:
    """Fields not given stay."""
    product = sim.store.need("product", call.id)
    with sim.changing(product, "product.updated"):
        _assign(product, call.params)
        if price := call.params.text("default_price"):
            product["default_price"] = sim.store.need("price", price, "default_price")["id"]
        product["updated"] = sim.now()
    return product


def retrieve(sim: Simulator, call: Call) -> Object:
    """One product."""
    return sim.store.need("product", call.id)


def delete(sim: Simulator, call: Call) -> Object:
    """Only one without prices."""
    product = sim.store.need("product", call.id)
    if any(price["product"] == product["id"] for price in sim.store.all("price")):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise invalid(message)
    sim.emit("product.deleted", product)
    sim.store.remove(call.id)
    return {"id": call.id, "object": "product", "deleted": True}


def index(sim: Simulator, call: Call) -> Object:
    """By state and by ids."""
    ids = call.params.texts("ids")
    active = call.params.boolean("active") if "active" in call.params else None
    found = [
        product
        for product in sim.store.all("product")
        if active in (None, product["active"]) and (not ids or product["id"] in ids)
    ]
    return paginate(call.params, found, call.url)


def features(sim: Simulator, call: Call) -> Object:
    """Entitlements: none here."""
    sim.store.need("product", call.id)
    return listing([], call.url)


ROUTES = (
    Route("POST", "/v1/products", create, f"{TAKES} id type"),
    Route("GET", "/v1/products", index, "active ids"),
    Route("GET", "/v1/products/{id}", retrieve),
    Route("POST", "/v1/products/{id}", update, f"{TAKES} default_price"),
    Route("DELETE", "/v1/products/{id}", delete),
    Route("GET", "/v1/products/{id}/features", features),
)
