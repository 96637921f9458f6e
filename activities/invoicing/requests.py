"""What the invoicing steps take and answer."""

from domain.invoicing import DocumentKind
from workflows.contracts.base import Contract


class InvoiceOrder(Contract):
    """Issue every invoice of a confirmed order: one for each seller, one for the delivery."""

    order_id: str


class CreditGoods(Contract):
    """Issue credit notes for what came back: line number of the order → pieces.

    `source_id` is the return, or whatever else brought it back; `with_delivery` credits the
    delivery's fee too.
    """

    order_id: str
    source_id: str
    reason: str
    returned: dict[int, int]
    with_delivery: bool = False


class IssuedDocument(Contract):
    """A document that is issued and rendered. The amount is in paise."""

    document_id: str
    kind: DocumentKind
    seller_id: str
    number: str
    payable_paise: int


class IssuedDocuments(Contract):
    """The documents of one request, by supplier."""

    documents: list[IssuedDocument]


class RenderMissing(Contract):
    """Render documents that have a number and no PDF yet."""

    limit: int = 20


class Rendered(Contract):
    """How many were rendered."""

    rendered: int
